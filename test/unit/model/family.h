/* The Smith family as a record: one subscription, four private identities; a UK and an Australian
 * landline in one implicit registration set with different profiles, shared by all; mobiles, a work
 * number and aliases. For tests of the HSS's rules. */
#ifndef TEST_MODEL_FAMILY_H
#define TEST_MODEL_FAMILY_H

#include "model/subscription/subscription.h"

#define HOME        "ims.mnc001.mcc001.3gppnetwork.org"
#define ALICE_IMPI  SPAN("alice.smith@" HOME)
#define BOB_IMPI    SPAN("bob.smith@" HOME)
#define CEDRIC_IMPI SPAN("cedric.smith@" HOME)
#define LAND_IMPI   SPAN("smith.family.landline@" HOME)

enum { ALICE, BOB, CEDRIC, LANDLINE };
enum { SET_LANDLINES, SET_ALICE, SET_ALICE_WORK, SET_BOB, SET_CEDRIC, SET_BARRED };

#define UK            SPAN("tel:+441632960100")
#define AU            SPAN("tel:+61255501234")
#define ALICE_SIP     SPAN("sip:alice.mobile@" HOME)
#define ALICE_TEL     SPAN("tel:+447700900101")
#define ALICE_WORK    SPAN("sip:alice.work@" HOME)
#define BOB_SIP       SPAN("sip:bob.mobile@" HOME)
#define BOB_TEMPORARY SPAN("sip:bob.temporary@" HOME)
#define CEDRIC_SIP    SPAN("sip:cedric@" HOME)
#define CEDRIC_TEL    SPAN("tel:+447700900103")
#define CEDRIC_BARRED SPAN("sip:cedric.barred@" HOME)
#define SCSCF_1       SPAN("sip:scscf." HOME ":6060")
#define SCSCF_2       SPAN("sip:scscf-2." HOME ":6061")
#define SCSCF_1_HOST  SPAN("scscf." HOME)

static inline struct rec_subscription_data family_data(void) {
    static const struct rec_impi_data impis[] = {
        {.slot = ALICE, .has_aka = true, .identity = SPAN_INIT("alice.smith@" HOME)},
        {.slot = BOB, .has_aka = true, .identity = SPAN_INIT("bob.smith@" HOME)},
        {.slot = CEDRIC,
         .has_aka = true,
         .has_digest_md5 = true,
         .has_digest_sha256 = true,
         .digest_realm = SPAN_INIT(HOME),
         .identity = SPAN_INIT("cedric.smith@" HOME)},
        {.slot = LANDLINE, .identity = SPAN_INIT("smith.family.landline@" HOME)},
    };
    static const struct span abroad[] = {SPAN_INIT("abroad.example")};
#define IMPU(identity_, set_, impi_, ...)                                                          \
    {                                                                                              \
        .identity = SPAN_INIT(identity_), .set = set_, .impi = impi_,                              \
        .profile = SPAN_INIT("default"), __VA_ARGS__                                               \
    }
    static const struct rec_impu_data impus[] = {
        IMPU("tel:+441632960100", SET_LANDLINES, 255, .is_default = true, .roams_anywhere = true),
        {.identity = SPAN_INIT("tel:+61255501234"),
         .set = SET_LANDLINES,
         .impi = 255,
         .profile = SPAN_INIT("australia"),
         .roams_anywhere = true},
        IMPU("sip:alice.mobile@" HOME, SET_ALICE, ALICE, .is_default = true,
             .roams_anywhere = true),
        IMPU("tel:+447700900101", SET_ALICE, ALICE, .roams_anywhere = true),
        IMPU("sip:alice.work@" HOME, SET_ALICE_WORK, ALICE, .visited_networks = abroad,
             .n_visited_networks = 1),
        IMPU("sip:bob.temporary@" HOME, SET_BOB, BOB, .barred = true, .roams_anywhere = true),
        IMPU("sip:bob.mobile@" HOME, SET_BOB, BOB, .roams_anywhere = true),
        IMPU("tel:+447700900103", SET_CEDRIC, CEDRIC, .alias_group = SPAN_INIT("cedric"),
             .roams_anywhere = true),
        IMPU("sip:cedric@" HOME, SET_CEDRIC, CEDRIC, .alias_group = SPAN_INIT("cedric"),
             .roams_anywhere = true, .display_name = SPAN_INIT("Cedric <Smith> & Son")),
        IMPU("sip:cedric.barred@" HOME, SET_BARRED, CEDRIC, .barred = true, .roams_anywhere = true),
    };
#undef IMPU
    return (struct rec_subscription_data){.name = SPAN("smith"),
                                          .impis = impis,
                                          .n_impis = COUNT_OF(impis),
                                          .impus = impus,
                                          .n_impus = COUNT_OF(impus)};
}

/* The family's record in `memory`, and a subscription in which nobody is registered. */
static inline bool family_make(char *memory, size_t size, struct subscription *s) {
    struct rec_subscription_data data = family_data();
    struct buf out = buf_init(memory, size);

    memset(s, 0, sizeof *s);
    return rec_subscription_encode(&data, &out) == OK &&
           subscription_open(buf_span(&out), &s->data) == OK;
}

#endif
