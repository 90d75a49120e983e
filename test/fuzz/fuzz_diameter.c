/* Fuzzes the Diameter codec: whatever the bytes, nothing is read beyond them, and what is taken can
 * be written again and means the same. libFuzzer: clang -fsanitize=fuzzer,address,undefined; the
 * corpus is replayed as a unit test (test_fuzz_diameter.c). */
#include "codec/diameter/diameter.h"
#include "spec/cx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { VALUE_MAX = 4096, TEXT_MAX = 65536 };

static struct span write_again(const struct diameter_layout *l, const void *value, char *room,
                               size_t cap) {
    struct buf buf = buf_init(room, cap);
    struct diameter_builder b;
    diameter_begin(&b, &buf, NULL, l->flags, l->command, l->application, 1, 2);
    diameter_encode(l, &b, value);
    return diameter_end(&b) == OK ? buf_span(&buf) : SPAN_NONE;
}

/* What is read, written, and read again is the same. */
static void round_trip(const struct diameter_layout *l, struct arena *arena,
                       const struct diameter_msg *msg) {
    static max_align_t value[VALUE_MAX / sizeof(max_align_t)];
    struct diameter_fault fault;
    struct diameter_msg again;
    MUST(l->size <= sizeof value);
    if (diameter_decode(l, arena, msg, value, &fault) != OK) {
        MUST(fault.result_code >= 3000 && fault.result_code < 6000 && fault.text);
        struct span avp = diameter_fault_avp(&fault);
        MUST(avp.n == 0 || avp.n >= 8);
        return;
    }
    /* A refusal may lack what its format needs, and what it lacks is written empty: not the same.
     */
    if (!diameter_msg_is_request(msg) && !diameter_result_is_success(msg->result)) {
        return;
    }
    size_t cap = 2 * msg->bytes.n + 4096;
    char *first = malloc(cap), *second = malloc(cap);
    MUST(first && second);
    struct span a = write_again(l, value, first, cap);
    MUST(a.n && diameter_msg_parse(a, &again, &fault) == OK);
    MUST(diameter_decode(l, arena, &again, value, &fault) == OK);
    MUST(span_eq(a, write_again(l, value, second, cap)));
    free(first);
    free(second);
}

static void report(const struct diameter_fault *fault) {
    char room[66000];
    struct buf buf = buf_init(room, sizeof room);
    struct diameter_builder b;
    struct diameter_msg msg;
    struct diameter_fault none;
    diameter_begin(&b, &buf, NULL, 0, 1, 2, 3, 4);
    diameter_put_fault(&b, fault);
    if (diameter_end(&b) == OK) {
        MUST(diameter_msg_parse(buf_span(&buf), &msg, &none) == OK);
        MUST(msg.result.code == fault->result_code);
    }
}

static void read_message(struct arena *arena, struct span bytes) {
    static char text[TEXT_MAX];
    struct diameter_msg msg;
    struct diameter_fault fault;
    enum error e = diameter_msg_parse(bytes, &msg, &fault);
    struct buf out = buf_init(text, sizeof text);
    diameter_print(&out, &msg);
    if (e != OK) {
        report(&fault);
        return;
    }
    static const struct {
        uint32_t application, command;
    } commands[] = {
        {CX_APPLICATION, 300},
        {CX_APPLICATION, 301},
        {CX_APPLICATION, 302},
        {CX_APPLICATION, 303},
        {CX_APPLICATION, 304},
        {CX_APPLICATION, 305},
        {0, 257},
        {0, 280},
        {0, 282},
    };
    /* Under every format, so that damage to the header does not hide the rest. */
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        for (int request = 0; request < 2; request++) {
            const struct diameter_layout *l =
                diameter_layout_find(commands[i].application, commands[i].command, request);
            msg.command = l->command;
            msg.application = l->application;
            msg.flags = l->flags;
            round_trip(l, arena, &msg);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct chunk_pool pool;
    chunk_pool_init(&pool, 16384, 4);
    struct arena arena = arena_init(&pool);
    /* In memory of their exact size, so that an overread is seen. */
    char *bytes = malloc(size ? size : 1);
    MUST(bytes);
    if (size) {
        memcpy(bytes, data, size);
    }
    size_t length = 0;
    if (diameter_frame(span_of(bytes, size), DIAMETER_MESSAGE_MAX, &length) == OK) {
        MUST(length <= size);
        read_message(&arena, span_of(bytes, length));
    }
    /* Damage is seldom so lucky as to keep the length: mend it. */
    size_t n = size & ~(size_t)3;
    if (n >= DIAMETER_HEADER_SIZE && n < 1 << 24 && n != length) {
        bytes[0] = 1;
        bytes[1] = (char)(n >> 16);
        bytes[2] = (char)(n >> 8);
        bytes[3] = (char)n;
        read_message(&arena, span_of(bytes, n));
    }
    free(bytes);
    arena_release(&arena);
    chunk_pool_free(&pool);
    return 0;
}
