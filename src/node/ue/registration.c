/* Registration at the terminal: TS 24.229 5.1.1.2 (initial), 5.1.1.4 (again), 5.1.1.5
 * (authentication), 5.1.1.6 (leaving), as the table `rules` below.
 *
 * Left open by the standard and chosen here:
 * - After a failure that may pass the terminal tries again by itself: after Retry-After where the
 *   answer has one, else after the time of RFC 5626 4.5 (doubling from 30 s to half an hour, half
 * of it random). What fails for good waits for its owner.
 * - A re-registration that fails without Retry-After becomes an initial registration at once (408,
 *   500, 504 and timer F by 5.1.1.4.1; 503 and others as well).
 * - When the flow to the P-CSCF fails (keep_alive.h) the terminal registers anew at once (RFC
 * 5626 4.5), and that fails as any re-registration.
 * - With several P-CSCFs the next one is tried after timer F, 305 and 503.
 * - Leaving ends locally, whatever the network says to it.
 * - What a NOTIFY says while a REGISTER is under way counts if it is of that REGISTER, and has
 *   overtaken its 200; else the REGISTER decides. What is older than the last 200 changes nothing.
 * - A procedure has at most UE_ROUNDS_MAX 401s and 423s that are answered, and of the 401s no three
 *   in a row may be invalid.
 */
#include "node/ue/internal.h"

enum event {
    ON_REGISTER,      /* the owner says: register */
    ON_DEREGISTER,    /* the owner says: leave */
    ON_GRANTED,       /* 200 */
    ON_CHALLENGE,     /* 401 that is answered with a response */
    ON_BAD_CHALLENGE, /* 401 whose MAC or SQN is wrong */
    ON_TOO_BRIEF,     /* 423 */
    ON_TROUBLE,       /* a failure that may pass */
    ON_BUSY,          /* the same, with Retry-After */
    ON_REFUSED,       /* a failure that will not pass */
    ON_TIMER,         /* time to refresh, or to try again */
    ON_EXPIRY,        /* time is over, and nobody refreshed */
    ON_SHORTENED,     /* the network wants to authenticate us again; this and the next by NOTIFY */
    ON_DEACTIVATED,   /* it has ended the registration, and we shall come again */
    ON_PROBATION,     /* the same, but later */
    ON_REPLACED,      /* another terminal of the user, or he himself, has ended it */
    ON_REJECTED,      /* it has ended it for good */
    ON_FLOW_FAILED,   /* the P-CSCF does not answer keep-alives, or the connection to it is gone */
    EVENTS
};

/* What an event carries. */
struct occasion {
    struct ue_failure failure;
    uint32_t seconds; /* granted, at least, or to wait */
};

typedef void action_fn(struct ue *ue, struct occasion *o);

static action_fn start, send_again, longer, accept, back_off, give_up, leave, left, remember_in,
    remember_out, stay_out, expired, shorten, begin_anew;

/* State by event: next state and what is done. Empty: the event changes nothing. */
static const struct rule {
    uint8_t next; /* enum ue_state */
    action_fn *action;
    const char *clause; /* of TS 24.229 */
} rules[UE_STATES][EVENTS] =
    {
        [UE_IDLE] =
            {
                [ON_REGISTER] = {UE_REGISTERING, start, "5.1.1.2.1"},
                [ON_DEREGISTER] = {UE_LEAVING, leave, "5.1.1.6.1"},
            },
        [UE_REGISTERING] =
            {
                [ON_REGISTER] = {UE_REGISTERING, remember_in, ""},
                [ON_DEREGISTER] = {UE_REGISTERING, remember_out, "RFC 3261 10.2: one at a time"},
                [ON_GRANTED] = {UE_REGISTERED, accept, "5.1.1.2.1"},
                [ON_CHALLENGE] = {UE_REGISTERING, send_again, "5.1.1.5.1"},
                [ON_BAD_CHALLENGE] = {UE_REGISTERING, send_again, "5.1.1.5.3"},
                [ON_TOO_BRIEF] = {UE_REGISTERING, longer, "5.1.1.2.1"},
                [ON_TROUBLE] = {UE_WAITING, back_off, "5.1.1.2.1, RFC 5626 4.5"},
                [ON_BUSY] = {UE_WAITING, back_off, "5.1.1.2.1"},
                [ON_REFUSED] = {UE_REFUSED, give_up, "5.1.1.2.1"},
            },
        [UE_REGISTERED] =
            {
                [ON_REGISTER] = {UE_REFRESHING, start, "5.1.1.4.1"},
                [ON_DEREGISTER] = {UE_LEAVING, leave, "5.1.1.6.1"},
                [ON_TIMER] = {UE_REFRESHING, start, "5.1.1.4.1"},
                [ON_EXPIRY] = {UE_IDLE, expired, "RFC 3261 10.2"},
                [ON_SHORTENED] = {UE_REGISTERED, shorten, "5.1.1.5A"},
                [ON_DEACTIVATED] = {UE_REGISTERING, begin_anew, "5.1.1.7"},
                [ON_PROBATION] = {UE_WAITING, back_off, "5.1.1.7, RFC 3680 5.2"},
                [ON_REPLACED] = {UE_IDLE, give_up, "5.1.1.7"},
                [ON_REJECTED] = {UE_REFUSED, give_up, "5.1.1.7"},
                [ON_FLOW_FAILED] = {UE_REFRESHING, start, "RFC 5626 4.5"},
            },
        [UE_REFRESHING] =
            {
                [ON_REGISTER] = {UE_REFRESHING, remember_in, ""},
                [ON_DEREGISTER] = {UE_REFRESHING, remember_out, "RFC 3261 10.2: one at a time"},
                [ON_GRANTED] = {UE_REGISTERED, accept, "5.1.1.4.1"},
                [ON_CHALLENGE] = {UE_REFRESHING, send_again, "5.1.1.5.1"},
                [ON_BAD_CHALLENGE] = {UE_REFRESHING, send_again, "5.1.1.5.3"},
                [ON_TOO_BRIEF] = {UE_REFRESHING, longer, "5.1.1.4.1"},
                [ON_TROUBLE] = {UE_REGISTERING, start, "5.1.1.4.1: as an initial registration"},
                [ON_BUSY] = {UE_WAITING, back_off, "5.1.1.4.1"},
                [ON_REFUSED] = {UE_REFUSED, give_up, "5.1.1.4.1"},
            },
        [UE_WAITING] =
            {
                [ON_REGISTER] = {UE_REGISTERING, start, "5.1.1.2.1"},
                [ON_DEREGISTER] = {UE_LEAVING, leave, "5.1.1.6.1"},
                [ON_TIMER] = {UE_REGISTERING, start, "5.1.1.2.1"},
            },
        [UE_LEAVING] =
            {
                [ON_REGISTER] = {UE_LEAVING, remember_in, "RFC 3261 10.2: one at a time"},
                [ON_DEREGISTER] = {UE_LEAVING, stay_out, ""},
                [ON_GRANTED] = {UE_IDLE, left, "5.1.1.6.1"},
                [ON_CHALLENGE] = {UE_LEAVING, send_again, "5.1.1.5.1"},
                [ON_BAD_CHALLENGE] = {UE_LEAVING, send_again, "5.1.1.5.3"},
                [ON_TOO_BRIEF] = {UE_IDLE, left, "5.1.1.6.1"},
                [ON_TROUBLE] = {UE_IDLE, left, "5.1.1.6.1"},
                [ON_BUSY] = {UE_IDLE, left, "5.1.1.6.1"},
                [ON_REFUSED] = {UE_IDLE, left, "5.1.1.6.1"},
            },
        [UE_REFUSED] =
            {
                [ON_REGISTER] = {UE_REGISTERING, start, "5.1.1.2.1"},
                [ON_DEREGISTER] = {UE_LEAVING, leave, "5.1.1.6.1"},
            },
};

/* The ue may be gone when this returns. */
static void handle(struct ue *ue, enum event event, struct occasion *o) {
    const struct rule *rule = &rules[ue->state][event];
    if (rule->action) {
        ue->state = rule->next;
        rule->action(ue, o);
    }
}

/* Actions. Callbacks are their last step. */

void ue_set_registered(struct ue *ue, bool registered) {
    struct ue_pool *pool = ue->pool;
    if (ue->registered != registered) {
        ue->registered = registered;
        pool->n_registered += registered ? 1 : -(size_t)1;
        if (pool->n_registered == 0) {
            sip_keep_alive_stop(&pool->flow);
        }
        if (!registered) {
            ue_leave_subscription(ue);
        }
    }
}

/* Begins a procedure. */
static void start(struct ue *ue, struct occasion *o) {
    (void)o;
    timer_stop(&ue->timer);
    ue->rounds = ue->bad_challenges = 0;
    ue->answered = false;
    if (ue->state == UE_REGISTERING || ue->auth != UE_AUTH_RESPONSE) {
        ue->auth = UE_AUTH_EMPTY;
    } else { /* of a card as 5.1.1.4.2 says: the last nonce and response */
        ue_answer_again(ue);
    }
    ue_send_register(ue);
}

static void send_again(struct ue *ue, struct occasion *o) {
    (void)o;
    ue_send_register(ue);
}

static void longer(struct ue *ue, struct occasion *o) {
    ue->ask_s = o->seconds;
    ue_send_register(ue);
}

static void leave(struct ue *ue, struct occasion *o) {
    ue->wants_out = false;
    start(ue, o);
}

static void remember_in(struct ue *ue, struct occasion *o) {
    (void)o;
    ue->wants_in = ue->state == UE_LEAVING || ue->wants_out;
}

static void remember_out(struct ue *ue, struct occasion *o) {
    (void)o;
    ue->wants_out = true;
    ue->wants_in = false;
}

static void stay_out(struct ue *ue, struct occasion *o) {
    (void)o;
    ue->wants_in = false;
}

/* 600 s before the registration ends, or at half its time if that is short. */
static void await_refresh(struct ue *ue) {
    uint64_t expiry_us = ue->granted_s * SEC_IN_US;
    uint64_t refresh_us = ue->granted_s > 1200 ? expiry_us - 600 * SEC_IN_US : expiry_us / 2;
    timer_start(ue->pool->env, &ue->timer, ue->config.no_refresh ? expiry_us : refresh_us);
}

static void accept(struct ue *ue, struct occasion *o) {
    struct ue_pool *pool = ue->pool;
    pool->counters.granted++;
    ue->refreshed = ue->registered;
    ue_set_registered(ue, true);
    ue->failures = 0;
    ue->granted_s = o->seconds;
    if (ue->wants_out) {
        handle(ue, ON_DEREGISTER, o);
        return;
    }
    ue->granted_cseq = ue->cseq;
    ue->granted_at_us = env_now_us(pool->env);
    await_refresh(ue);
    ue_subscribe(ue);
    if (ue->early.any) {
        ue_told(ue, &ue->early);
    } else if (pool->handler.registered) {
        pool->handler.registered(pool->ctx, ue);
    }
}

/* Ends a procedure that failed; the state is set already. */
static void fail(struct ue *ue, struct occasion *o) {
    struct ue_pool *pool = ue->pool;
    o->failure.was_registered = ue->registered;
    ue_set_registered(ue, false);
    LOG(&pool->env->log, LOG_NOTICE, "registration failed", LOG_SPAN("impi", ue->config.isim->impi),
        LOG_CSTR("why", ue_reason_text(o->failure.reason)), LOG_U64("status", o->failure.status),
        LOG_U64("retry_s", o->failure.retry_us / SEC_IN_US));
    if (ue->wants_out) {
        handle(ue, ON_DEREGISTER, o);
    } else if (pool->handler.failed) {
        pool->handler.failed(pool->ctx, ue, &o->failure);
    }
}

static void back_off(struct ue *ue, struct occasion *o) {
    struct ue_pool *pool = ue->pool;
    uint64_t wait_us = o->seconds * SEC_IN_US;
    if (ue->failures < UINT8_MAX) {
        ue->failures++;
    }
    if (wait_us == 0) {
        unsigned shift = ue->failures < 16 ? ue->failures : 16;
        uint64_t bound_us = (UE_BACKOFF_BASE_S * SEC_IN_US) << shift, random;
        if (bound_us > UE_BACKOFF_MAX_S * SEC_IN_US) {
            bound_us = UE_BACKOFF_MAX_S * SEC_IN_US;
        }
        env_random(pool->env, &random, sizeof random);
        wait_us = bound_us / 2 + random % (bound_us / 2 + 1);
    }
    pool->counters.failed_for_now++;
    o->failure.retry_us = wait_us;
    timer_start(pool->env, &ue->timer, wait_us);
    fail(ue, o);
}

static void give_up(struct ue *ue, struct occasion *o) {
    ue->pool->counters.failed_for_good++;
    fail(ue, o);
}

static void left(struct ue *ue, struct occasion *o) {
    struct ue_pool *pool = ue->pool;
    ue_set_registered(ue, false);
    ue->failures = 0;
    if (ue->wants_in) {
        ue->wants_in = false;
        handle(ue, ON_REGISTER, o);
    }
    if (pool->handler.deregistered) {
        bool confirmed = o->failure.status >= 200 && o->failure.status < 300;
        pool->leaving = confirmed ? NULL : &o->failure;
        pool->handler.deregistered(pool->ctx, ue);
        pool->leaving = NULL;
    }
}

static void expired(struct ue *ue, struct occasion *o) {
    (void)o;
    ue_set_registered(ue, false);
    if (ue->pool->handler.deregistered) {
        ue->pool->handler.deregistered(ue->pool->ctx, ue);
    }
}

/* Less time than was granted: a re-registration will be challenged. */
static void shorten(struct ue *ue, struct occasion *o) {
    ue->granted_s = o->seconds;
    await_refresh(ue);
}

static void begin_anew(struct ue *ue, struct occasion *o) {
    ue_set_registered(ue, false);
    start(ue, o);
}

/* From messages to events. */

static void next_pcscf(struct ue *ue) {
    ue->pcscf = (ue->pcscf + 1) % (unsigned)ue->pool->config.n_pcscf;
}

/* A failure that may pass: with a time to wait, or without. */
static void trouble(struct ue *ue, struct occasion *o, bool has_time) {
    enum event event = has_time && o->seconds ? ON_BUSY : ON_TROUBLE;
    handle(ue, ue->config.no_retry ? ON_REFUSED : event, o);
}

static void failed_locally(struct ue *ue, enum ue_reason reason) {
    struct occasion o = {.failure.reason = reason};
    trouble(ue, &o, false);
}

/* Statuses that say nothing about the subscription: another time may go better. */
static bool may_pass(unsigned status) {
    switch (status) {
    case 305: /* use another P-CSCF */
    case 408:
    case 480:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return false;
    }
}

static void take_failure(struct ue *ue, const struct sip_msg *answer, struct occasion *o) {
    struct sip_retry_after after = {0};
    bool has_time = sip_has(answer, SIP_H_RETRY_AFTER) &&
                    !sip_retry_after_parse(sip_value(answer, SIP_H_RETRY_AFTER), &after);
    o->seconds = after.delay_s;
    if (answer->status == 305 || answer->status == 503) {
        next_pcscf(ue);
    }
    if (may_pass(answer->status) || has_time) {
        trouble(ue, o, has_time);
        return;
    }
    if (ue->bad_challenges) {
        o->failure.reason =
            ue->bad_reason; /* the network refuses what we thought of its challenge */
    }
    handle(ue, ON_REFUSED, o);
}

static void refuse(struct ue *ue, enum ue_reason reason, struct occasion *o) {
    o->failure.reason = reason;
    handle(ue, ON_REFUSED, o);
}

static void bad_challenge(struct ue *ue, enum ue_reason reason, struct occasion *o) {
    ue->bad_reason = reason;
    if (ue->bad_challenges++ < UE_BAD_CHALLENGES_MAX) {
        if (reason == UE_REASON_FORGED) {
            ue->pool->counters.forged++;
        } else {
            ue->pool->counters.resynchronised++;
        }
        handle(ue, ON_BAD_CHALLENGE, o);
    } else {
        refuse(ue, reason, o);
    }
}

static void take_challenge(struct ue *ue, const struct sip_msg *answer, struct occasion *o) {
    if (ue->rounds++ >= UE_ROUNDS_MAX) {
        refuse(ue, UE_REASON_CHALLENGES, o);
        return;
    }
    switch (ue_take_challenge(ue, answer)) {
    case UE_CHALLENGE_GOOD:
        ue->bad_challenges = 0;
        ue->pool->counters.challenges++;
        handle(ue, ON_CHALLENGE, o);
        return;
    case UE_CHALLENGE_FORGED:
        bad_challenge(ue, UE_REASON_FORGED, o);
        return;
    case UE_CHALLENGE_SQN:
        bad_challenge(ue, UE_REASON_SQN, o);
        return;
    case UE_CHALLENGE_PASSWORD:
        refuse(ue, UE_REASON_PASSWORD, o);
        return;
    case UE_CHALLENGE_UNREADABLE:
        refuse(ue, UE_REASON_MALFORMED, o);
        return;
    case UE_CHALLENGE_INTERNAL:
        failed_locally(ue, UE_REASON_INTERNAL);
        return;
    }
}

/* RFC 6223 4.3: the P-CSCF wants keep-alives, so often. */
static void keep_flow(struct ue *ue, const struct sip_via *via) {
    struct ue_pool *pool = ue->pool;
    const struct sip_hop hop = ue_hop(ue);
    if (via->keep_s) {
        sip_keep_alive_start(&pool->flow, pool->stack, 0, &hop, pool->config.host, via->keep_s,
                             ue_flow_failed);
    }
}

static void take_grant(struct ue *ue, const struct sip_msg *answer, struct occasion *o) {
    if (ue->state == UE_LEAVING) {
        ue->pool->counters.deregistered++;
        handle(ue, ON_GRANTED, o);
        return;
    }
    if (!ue_check_info(ue, answer)) {
        refuse(ue, UE_REASON_UNPROVEN, o);
        return;
    }
    enum error e = ue_read_grant(ue, answer, &o->seconds);
    if (e) {
        o->seconds = 0;
        o->failure.reason = e == ERR_NO_MEMORY ? UE_REASON_INTERNAL : UE_REASON_NO_BINDING;
        trouble(ue, o, false);
    } else {
        keep_flow(ue, &answer->via);
        handle(ue, ON_GRANTED, o);
    }
}

static void take_too_brief(struct ue *ue, const struct sip_msg *answer, struct occasion *o) {
    ue->pool->counters.too_brief++;
    if (ue->rounds++ >= UE_ROUNDS_MAX || sip_number_of(answer, SIP_H_MIN_EXPIRES, &o->seconds) ||
        o->seconds <= ue->ask_s) {
        o->seconds = 0;
        handle(ue, ON_REFUSED, o); /* asking again will not help */
    } else {
        handle(ue, ON_TOO_BRIEF, o);
    }
}

static void on_response(void *ctx, struct sip_client *tx, const struct sip_msg *answer) {
    struct ue *ue = ctx;
    (void)tx;
    if (answer->status < 200) {
        return;
    }
    ue->client = NULL;
    struct occasion o = {.failure = {.reason = UE_REASON_STATUS,
                                     .status = answer->status,
                                     .phrase = answer->reason}};
    if (answer->status < 300) {
        take_grant(ue, answer, &o);
    } else if (answer->status == 401) {
        take_challenge(ue, answer, &o);
    } else if (answer->status == 423) {
        take_too_brief(ue, answer, &o);
    } else {
        take_failure(ue, answer, &o);
    }
}

static void on_timeout(void *ctx, struct sip_client *tx) {
    struct ue *ue = ctx;
    (void)tx;
    ue->client = NULL;
    ue->pool->counters.timeouts++;
    next_pcscf(ue);
    failed_locally(ue, UE_REASON_TIMEOUT);
}

static void on_transport_error(void *ctx, struct sip_client *tx, enum error why) {
    struct ue *ue = ctx;
    (void)tx;
    (void)why;
    ue->client = NULL;
    next_pcscf(ue);
    failed_locally(ue, UE_REASON_UNREACHABLE);
}

const struct sip_client_handler ue_client_handler = {
    .response = on_response,
    .timeout = on_timeout,
    .transport_error = on_transport_error,
};

void ue_timer_fired(struct timer *t) {
    struct ue *ue = CONTAINER_OF(t, struct ue, timer);
    struct occasion o = {0};
    if (ue->unsent) {
        ue->unsent = false;
        failed_locally(ue, UE_REASON_INTERNAL);
    } else if (ue->state == UE_REGISTERED && ue->config.no_refresh) {
        handle(ue, ON_EXPIRY, &o);
    } else {
        handle(ue, ON_TIMER, &o);
    }
}

/* What a NOTIFY's event means to us (5.1.1.5A, 5.1.1.7, RFC 3680 5.2). */
static enum event event_of(const struct ue *ue, const struct ue_news *news) {
    if (news->active) {
        return news->event == REGINFO_SHORTENED ? ON_SHORTENED : EVENTS;
    }
    switch (news->event) {
    case REGINFO_REJECTED:
        return ON_REJECTED;
    case REGINFO_UNREGISTERED:
        return ON_REPLACED;
    case REGINFO_PROBATION:
        return ON_PROBATION;
    case REGINFO_EXPIRED:
        if (ue->config.no_refresh) {
            return ON_EXPIRY;
        }
        break;
    default:
        break;
    }
    return ON_DEACTIVATED;
}

void ue_told(struct ue *ue, const struct ue_news *news) {
    struct ue_pool *pool = ue->pool;
    enum event event = event_of(ue, news);
    struct occasion o = {.failure.reason = UE_REASON_ENDED, .seconds = news->seconds};
    if (event == EVENTS || !rules[ue->state][event].action) {
        return;
    }
    LOG(&pool->env->log, LOG_INFO, "the network has changed the registration",
        LOG_SPAN("impi", ue->config.isim->impi), LOG_SPAN("event", reginfo_event_name(news->event)),
        LOG_U64("seconds", news->seconds));
    if (pool->handler.told) {
        pool->handler.told(pool->ctx, ue, news->event, news->seconds);
    }
    handle(ue, event, &o);
}

void ue_flow_failed(struct sip_keep_alive *flow, enum error why) {
    struct ue_pool *pool = CONTAINER_OF(flow, struct ue_pool, flow);
    struct occasion o = {0};
    pool->counters.flows_failed++;
    LOG(&pool->env->log, LOG_NOTICE, "the flow to the P-CSCF has failed",
        LOG_CSTR("why", error_text(why)));
    LIST_EACH(&pool->ues, ue, struct ue, in_pool) {
        handle(ue, ON_FLOW_FAILED, &o);
    }
}

void ue_register(struct ue *ue) {
    struct occasion o = {0};
    handle(ue, ON_REGISTER, &o);
}

void ue_deregister(struct ue *ue, enum ue_scope scope) {
    struct occasion o = {0};
    if (ue->state != UE_LEAVING) {
        ue->scope = scope;
    }
    handle(ue, ON_DEREGISTER, &o);
}
