"""tools/test_lint.py: every checker finds what it is for, and lets good code pass."""

import io
import pathlib
import tempfile
import unittest

import lint_banned
import lint_copies
import lint_headers
import lint_layers
import requirements


class Lint(unittest.TestCase):
    """Each test writes a small tree with one fault."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, path, text):
        """A file under the tree."""
        file = pathlib.Path(self.folder.name, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test_upward_include(self):
        self.write("src/base/a.c", '#include "node/hss/hss.h"\n')
        (found,) = lint_layers.check(self.folder.name)
        self.assertIn("src/base/a.c:1", found)
        self.assertIn("layer 0 (base) includes layer 4 (node)", found)

    def test_siblings(self):
        self.write("src/node/hss/a.c", '#include "node/scscf/scscf.h"\n')
        self.write("src/codec/sip/a.c", '#include "codec/diameter/diameter.h"\n')
        self.write("src/crypto/a.c", '#include "store/store.h"\n')
        self.assertEqual(3, len(lint_layers.check(self.folder.name)))

    def test_model_without_io(self):
        self.write("src/model/a.c", '#include "rt/env.h"\n#include "rt/addr.h"\n')
        (found,) = lint_layers.check(self.folder.name)
        self.assertIn("model/ does not include rt/", found)

    def test_good_includes(self):
        self.write("src/node/hss/a.c", '#include "node/hss/hss.h"\n#include "stack/http/web.h"\n')
        self.write("src/rt/a.c", '#include "obs/trace.h"\n#include "base/span.h"\n')
        self.write("src/store/a.c", '#include "codec/records/records.h"\n')
        self.assertEqual([], lint_layers.check(self.folder.name))

    def test_relative_include(self):
        self.write("src/base/a.c", '#include "span.h"\n')
        self.assertEqual(1, len(lint_layers.check(self.folder.name)))

    def test_undocumented(self):
        self.write("src/base/a.h", "/* One. */\nint one(void);\n\nstatic inline int two(void) {\n"
                   "    return 2;\n}\ntypedef void three_fn(void);\n")  # fmt: skip
        found = "\n".join(lint_headers.check(self.folder.name))
        for name in ("one", "two", "three_fn"):
            self.assertIn(f"{name} has no /** */ comment", found)

    def test_documented(self):
        self.write("src/base/a.h", "/** One:\n * more. */\nMUST_CHECK enum error\none(void);\n\n"
                   "/** Two. */\nvoid two(const char *f, ...) PRINTF_LIKE(1, 2);\n")  # fmt: skip
        self.assertEqual([], lint_headers.check(self.folder.name))

    def test_long_function(self):
        body = "int x(void) {\n" + "    f();\n" * 99 + "    return 1;\n}\n"
        self.write("src/base/a.c", body)
        (found,) = lint_headers.check(self.folder.name)
        self.assertIn("x has 102 lines", found)
        self.write("src/base/a.c", "/* long: a table of the standard. */\n" + body)
        self.assertEqual([], lint_headers.check(self.folder.name))

    def test_long_file(self):
        self.write("tools/a.py", "x = 1\n" * 801)
        (found,) = lint_headers.check(self.folder.name)
        self.assertIn("801 lines", found)

    def test_banned(self):
        self.write("src/base/a.c", 'x = atoi("7");\n/* TO' + "DO later */\n")
        self.assertEqual(2, len(lint_banned.check(self.folder.name)))

    def test_not_banned(self):
        self.write("src/base/a.c", 'x = "atoi(3)"; /* atoi(3) */ my_atoi(3);\n')
        self.assertEqual([], lint_banned.check(self.folder.name))

    def test_copies(self):
        run = "".join(f"    call_{i}();\n" for i in range(12))
        self.write("src/base/a.c", run)
        self.assertEqual(0, lint_copies.check(self.folder.name)[0])
        self.write("src/base/b.c", "/* the same */\n" + run)
        self.assertEqual(100, lint_copies.check(self.folder.name)[0])

    def requirement_faults(self):
        """Number of claims without a test, and what was printed."""
        out = io.StringIO()
        root = pathlib.Path(self.folder.name)
        return requirements.report(*requirements.collect(root), out), out.getvalue()

    def test_requirements(self):
        self.write("docs/requirements.md", "- A4 This.\n- A5 That.\n")
        self.write("flows/x.flow", "flow x\ncovers A4 A9  # not A5\n")
        faults, text = self.requirement_faults()
        self.assertEqual(1, faults)
        self.assertIn("A5   That.\n       NOT TESTED", text)
        self.assertIn("A4   This.\n       flow x\n", text)
        self.assertIn("A9   in part, not claimed: flow x", text)
        self.write("test/unit/a.c", "/* covers: A4, A5 */\n")
        self.assertEqual(0, self.requirement_faults()[0])


if __name__ == "__main__":
    unittest.main()
