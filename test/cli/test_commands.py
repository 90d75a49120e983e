"""The command line: what is right is done, what is wrong is explained, exit codes are as documented.
$MUSTER is the program."""

import os
import subprocess
import unittest

import tap

MUSTER = os.environ["MUSTER"]
COMMANDS = ["run", "doctor", "demo", "ue", "sub", "explain", "reload", "trace", "bench", "simulate", "version"]
OK, FAILED, USAGE, CONFIG, UNREACHABLE = 0, 1, 2, 3, 4
NOBODY = "127.0.0.1:9"  # the discard port: nobody listens there


def muster(*arguments, **options):
    """Runs it; the result has returncode, stdout and stderr."""
    return subprocess.run(
        [MUSTER, *arguments], capture_output=True, text=True, timeout=60, check=False, **options
    )


class Commands(unittest.TestCase):
    """Everything that needs no running network."""

    def check(self, arguments, code, err="", out=""):
        """The exit code, and what stderr and stdout contain."""
        done = muster(*arguments)
        self.assertEqual(code, done.returncode, done.stderr + done.stdout)
        self.assertIn(err, done.stderr)
        self.assertIn(out, done.stdout)
        return done

    def test_help_names_every_command(self):
        text = self.check(["--help"], OK).stdout
        for command in COMMANDS:
            self.assertRegex(text, rf"(?m)^  {command} ")
        self.assertIn("Exit codes:", text)

    def test_every_command_explains_itself_with_examples(self):
        for command in COMMANDS:
            text = self.check([command, "--help"], OK).stdout
            self.assertTrue(text.startswith(f"Usage: muster {command}"), text)

    def test_nothing_asked_is_a_wrong_command_line(self):
        self.check([], USAGE, out="Usage: muster COMMAND")

    def test_a_misspelt_command_gets_a_suggestion(self):
        self.check(["versoin"], USAGE, err='unknown command "versoin": did you mean version?')

    def test_a_misspelt_option_gets_a_suggestion(self):
        self.check(["run", "--confg", "x"], USAGE, err="unknown option --confg: did you mean --config?")

    def test_a_missing_value_is_named(self):
        self.check(["run", "--config"], USAGE, err="--config needs a value: --config FILE")

    def test_a_flag_takes_no_value(self):
        self.check(["run", "--memory=yes"], USAGE, err="--memory takes no value")

    def test_an_unexpected_argument_is_shown(self):
        self.check(["version", "please"], USAGE, err='unexpected argument "please"')

    def test_version(self):
        self.check(["version"], OK, out="muster ")
        self.check(["--version"], OK, out="muster ")

    def test_a_demo_says_what_became_of_it(self):
        self.check(["demo", "subscription-deleted", "--simulated"], OK, out=", and then the HSS has sent an RTR: ")

    def test_options_that_exclude_each_other(self):
        self.check(["trace", "--follow", "-o", "x"], USAGE, err="exclude each other")
        self.check(["run", "--memory", "--store", "x"], USAGE, err="exclude each other")

    def test_nobody_there_is_said_so(self):
        self.check(["trace", "--web", NOBODY], UNREACHABLE, err="no Muster answers at http://127.0.0.1:9")
        self.check(["sub", "list", "--web", NOBODY], UNREACHABLE, err="no Muster answers")

    def test_a_wrong_address_is_a_wrong_command_line(self):
        self.check(["trace", "--web", "localhost:x"], USAGE, err="--web takes an IP address")

    def test_a_missing_configuration(self):
        self.check(["run", "-c", "/nowhere.yaml"], CONFIG, err="/nowhere.yaml: cannot be read: not found")

    def test_a_wrong_configuration_shows_its_line(self):
        done = muster("run", "-c", "-", input="network: {mcc: 001, mnc: 01}\nnodez: {}\n")
        self.assertEqual(CONFIG, done.returncode)
        self.assertIn("-:2: \"nodez\" is not a setting here: did you mean nodes?", done.stderr)

    def test_a_wrong_log_level_is_explained(self):
        self.check(["run", "--log", "loud"], CONFIG, err='log is "loud"; it takes debug, info')


if __name__ == "__main__":
    tap.main()
