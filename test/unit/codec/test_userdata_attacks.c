/* covers: HB6
 * Documents made to hurt: each is refused within 50 ms of the processor's time and with less than
 * 8 MB, and the kernel watches that reading one opens no file and no connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/userdata/userdata.h"
#include "memory.h"

#include <libxml/xmlmemory.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
enum { TIMES = 4 }; /* as much slower */
#else
enum { TIMES = 1 };
#endif

enum { TIME_US = 50000, MEMORY_BYTES = 8 << 20 };

#define IDENTITY "<PublicIdentity><Identity>sip:a@h</Identity></PublicIdentity>"
#define DOC(inside)                                                                                \
    "<IMSSubscription><PrivateID>a@h</PrivateID><ServiceProfile>" IDENTITY inside                  \
    "</ServiceProfile></IMSSubscription>"

/* What libxml2 takes, counted. */
static size_t taken, most;

static void *counted(void *p) {
    taken += p ? malloc_usable_size(p) : 0;
    most = taken > most ? taken : most;
    return p;
}

static void *xml_malloc(size_t n) {
    return counted(malloc(n));
}

static void *xml_realloc(void *p, size_t n) {
    taken -= malloc_usable_size(p);
    return counted(realloc(p, n));
}

static void xml_free(void *p) {
    taken -= malloc_usable_size(p);
    free(p);
}

static char *xml_strdup(const char *s) {
    return counted(strdup(s));
}

/* Attacks. */

static char text[USERDATA_BYTES_MAX + 64];

static struct span repeated(const char *head, const char *piece, const char *tail) {
    struct buf b = buf_init(text, USERDATA_BYTES_MAX);
    size_t n = strlen(piece);

    buf_cstr(&b, head);
    while (n && b.cap - b.n > n + strlen(tail)) {
        buf_bytes(&b, piece, n);
    }
    buf_cstr(&b, tail);
    return buf_span(&b);
}

static struct span nested(const char *head, const char *open, const char *close, size_t depth,
                          const char *tail) {
    struct buf b = buf_init(text, sizeof text);

    buf_cstr(&b, head);
    for (size_t i = 0; i < depth; i++) {
        buf_cstr(&b, open);
    }
    for (size_t i = 0; i < depth; i++) {
        buf_cstr(&b, close);
    }
    buf_cstr(&b, tail);
    assert_false(b.overflow);
    return buf_span(&b);
}

/* The ith attack; empty: there are no more. */
static struct span attack(size_t i) {
    static const char *const plain[] = {
        /* Billion laughs, quadratic blow-up, external entity, external DTD, parameter entity, by a
         * file, by a connection. */
        "<!DOCTYPE a [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c "
        "\"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\"><!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY "
        "e \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\"><!ENTITY f \"&e;&e;&e;&e;&e;&e;&e;&e;&e;\">]>" DOC(
            "<Extension>&f;</Extension>"),
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>" DOC(
            "<Extension>&x;</Extension>"),
        "<!DOCTYPE a SYSTEM \"http://127.0.0.1:9/evil.dtd\">" DOC(""),
        "<!DOCTYPE a PUBLIC \"-//x\" \"file:///tmp/evil.dtd\">" DOC(""),
        "<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://127.0.0.1:9/p\"> %p;]>" DOC(""),
        "<?xml version=\"1.0\"?>\n<!-- x -->\n<!DOCTYPE a [<!ATTLIST IMSSubscription v CDATA "
        "\"x\">]>" DOC(""),
        "<?xml version=\"1.0\" encoding=\"UTF-7\"?>+ADwAIQ-DOCTYPE a+AD4-" DOC(""),
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?>" DOC(""),
        "<?xml-stylesheet href=\"http://127.0.0.1:9/x.xsl\"?><!DOCTYPE a>" DOC(""),
        DOC("<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" "
            "href=\"file:///etc/passwd\">"),
    };

    if (i < COUNT_OF(plain)) {
        return span_from_cstr(plain[i]);
    }
    switch (i - COUNT_OF(plain)) {
    case 0: /* 10^5 deep, once for each reader */
        return nested("", "<a>", "</a>", 100000, "");
    case 1:
        return nested("", "<Extension>", "", 90000, "");
    case 2:
        return nested("<IMSSubscription a=''>", "<b>", "</b>", 100000, "</IMSSubscription>");
    case 3: { /* a long entity, again and again */
        static char head[16000];
        struct buf b = buf_init(head, sizeof head - 1);
        buf_cstr(&b, "<!DOCTYPE a [<!ENTITY x \"");
        while (b.n < 15000) {
            buf_char(&b, 'x');
        }
        buf_cstr(&b, "\">]><IMSSubscription>");
        return repeated(head, "&x;", "</IMSSubscription>");
    }
    case 4: /* many elements, attributes, comments, references, CDATA, namespaces */
        return repeated("<IMSSubscription><PrivateID>a</PrivateID>", "<x/>", "</IMSSubscription>");
    case 5:
        return repeated("<IMSSubscription", " a=''", "/>");
    case 6:
        return repeated("<IMSSubscription>", "<!---->", "</IMSSubscription>");
    case 7:
        return repeated("<IMSSubscription>", "&#65;", "</IMSSubscription>");
    case 8:
        return repeated("<IMSSubscription>", "<![CDATA[]]>", "</IMSSubscription>");
    case 9:
        return repeated("<IMSSubscription>", "<a xmlns:b='c'><b:d/></a>", "</IMSSubscription>");
    case 10:
        return repeated("<IMSSubscription>", "<Group/>", "</IMSSubscription>");
    case 16:
        return repeated("<IMSSubscription><PrivateID>a</PrivateID><ServiceProfile>",
                        "<PublicIdentity/>", "</ServiceProfile></IMSSubscription>");
    case 17:
        return repeated(
            "<IMSSubscription><PrivateID>a</PrivateID><ServiceProfile>" IDENTITY
            "<InitialFilterCriteria><Priority>1</Priority><ApplicationServer>"
            "<ServerName>sip:as</ServerName></ApplicationServer><TriggerPoint>"
            "<ConditionTypeCNF>0</ConditionTypeCNF>",
            "<SPT><Group>0</Group></SPT>",
            "</TriggerPoint></InitialFilterCriteria></ServiceProfile></IMSSubscription>");
    case 18:
        return repeated("<IMSSubscription><PrivateID>a</PrivateID>", "<ServiceProfile/>",
                        "</IMSSubscription>");
    case 11: /* names and texts without end */
        return repeated("<", "a", "");
    case 12:
        return repeated("<IMSSubscription a='", "b", "");
    case 13:
        return repeated("<IMSSubscription><!--", "x", "");
    case 14:
        return repeated("<?", "x", "");
    case 15:
        return repeated("", "<", "");
    default:
        return SPAN_NONE;
    }
}

static uint64_t now_us(void) {
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static enum error read_once(struct chunk_pool *pool, struct span xml) {
    struct arena arena = arena_init(pool);
    struct userdata *u;
    enum error e = userdata_read(xml, &arena, &u);

    arena_release(&arena);
    return e;
}

static void attacks_are_refused_soon_and_with_little(void **state) {
    uint64_t slowest = 0;
    size_t largest = 0;

    (void)state;
    for (size_t i = 0; attack(i).n; i++) {
        struct span xml = attack(i);
        struct chunk_pool pool;
        chunk_pool_init(&pool, 16384, 0);
        most = taken;
        size_t before = memory_mark() + taken;
        uint64_t began = now_us();
        enum error e = read_once(&pool, xml);
        uint64_t us = now_us() - began;
        size_t bytes = memory_peak() + most - before;
        chunk_pool_free(&pool);
        slowest = us > slowest ? us : slowest;
        largest = bytes > largest ? bytes : largest;
        if (e == OK || us > (uint64_t)TIME_US * TIMES || bytes > MEMORY_BYTES) {
            fail_msg("%zu, %.60s: %s, %llu us, %zu bytes", i, xml.p, error_text(e),
                     (unsigned long long)us, bytes);
        }
    }
    print_message("    at most %llu us and %zu bytes\n", (unsigned long long)slowest, largest);
}

/* From here on whoever opens a file or a connection is killed. */
static bool watch(void) {
#define KILL_ON(call)                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),                                               \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        KILL_ON(SYS_openat),
#ifdef SYS_open
        KILL_ON(SYS_open),
#endif
        KILL_ON(SYS_socket),
        KILL_ON(SYS_connect),
        KILL_ON(SYS_execve),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(code), code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Runs it in a child that is watched; its wait status. */
static int watched(void (*run)(void)) {
    int status = 0;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (!watch()) {
            _exit(77);
        }
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void read_all(void) {
    struct chunk_pool pool;

    chunk_pool_init(&pool, 16384, 0);
    for (size_t i = 0; attack(i).n; i++) {
        (void)read_once(&pool, attack(i));
    }
    (void)read_once(&pool, span_from_cstr(DOC("<Extension><v:x xmlns:v='urn:v'/></Extension>")));
    chunk_pool_free(&pool);
}

static void open_a_file(void) {
    FILE *f = fopen("/etc/passwd", "r");

    if (f) {
        (void)fclose(f);
    }
}

static void no_file_and_no_connection_is_opened(void **state) {
    (void)state;
    int honest = watched(read_all);
    if (WIFEXITED(honest) && WEXITSTATUS(honest) == 77) {
        skip(); /* the kernel lets nobody be watched here */
    }
    assert_true(WIFEXITED(honest));
    assert_int_equal(WEXITSTATUS(honest), 0);
    assert_true(WIFSIGNALED(watched(open_a_file))); /* it would have been seen */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacks_are_refused_soon_and_with_little),
        cmocka_unit_test(no_file_and_no_connection_is_opened),
    };

    if (xmlMemSetup(xml_free, xml_malloc, xml_realloc, xml_strdup) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
