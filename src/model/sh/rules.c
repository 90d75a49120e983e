/* TS 29.328 table 7.6.1 and clause 6.2. Choices that the clauses leave open:
 * - Data-Reference 20 is reserved since Release 8; before it was AliasesRepositoryData, and this it
 *   still is here: the same data as RepositoryData of an alias, in the element of that name.
 * - Data of domains that this HSS does not serve (location, states and capabilities of CS, EPS and
 *   5GS) gets USER_DATA_NOT_AVAILABLE, which 6.1.1.1 has for what cannot be obtained; it can be
 *   neither changed nor subscribed to: OPERATION_NOT_ALLOWED.
 * - Data that a subscription may have and none has here (trace, priority, binding, STN-SR): a pull
 *   succeeds without it. */
#include "model/sh/sh.h"

#define ALL       (SH_PULL | SH_UPDATE | SH_NOTIFY)
#define REF(name) [SH_DATA_REFERENCE_##name]

/* clang-format off */
const struct sh_rule sh_rules[SH_REFERENCES] = {
    REF(RepositoryData) = {"RepositoryData", ALL, .needs_service_indication = true, .source = SH_REPOSITORY},
    REF(IMSPublicIdentity) = {"IMSPublicIdentity", SH_PULL | SH_NOTIFY, .by_msisdn = true, .source = SH_SUBSCRIBER},
    REF(IMSUserState) = {"IMSUserState", SH_PULL | SH_NOTIFY, .source = SH_SUBSCRIBER},
    REF(S_CSCFName) = {"S-CSCFName", SH_PULL | SH_NOTIFY, .source = SH_SUBSCRIBER},
    REF(InitialFilterCriteria) = {"InitialFilterCriteria", SH_PULL | SH_NOTIFY, .needs_server_name = true, .source = SH_SUBSCRIBER},
    REF(LocationInformation) = {"LocationInformation", SH_PULL, .by_msisdn = true, .needs_domain = true, .source = SH_ELSEWHERE},
    REF(UserState) = {"UserState", SH_PULL, .by_msisdn = true, .needs_domain = true, .source = SH_ELSEWHERE},
    REF(ChargingInformation) = {"ChargingInformation", SH_PULL, .by_msisdn = true, .source = SH_SUBSCRIBER},
    REF(MSISDN) = {"MSISDN", SH_PULL, .by_msisdn = true, .source = SH_SUBSCRIBER},
    REF(PSIActivation) = {"PSIActivation", ALL, .source = SH_PSI},
    REF(DSAI) = {"DSAI", ALL, .needs_server_name = true, .source = SH_DSAI_TAGS},
    REF(AliasesRepositoryData) = {"AliasesRepositoryData", ALL, .needs_service_indication = true, .source = SH_REPOSITORY},
    REF(ServiceLevelTraceInfo) = {"ServiceLevelTraceInfo", SH_PULL | SH_NOTIFY, .by_msisdn = true, .source = SH_NEVER_SET},
    REF(IPAddressSecureBindingInformation) = {"IPAddressSecureBindingInformation", ALL, .source = SH_NEVER_SET},
    REF(ServicePriorityLevel) = {"ServicePriorityLevel", SH_PULL | SH_NOTIFY, .by_msisdn = true, .source = SH_NEVER_SET},
    REF(SMSRegistrationInfo) = {"SMSRegistrationInfo", SH_PULL | SH_UPDATE, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(UEReachabilityForIP) = {"UEReachabilityForIP", SH_NOTIFY, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(TADSinformation) = {"TADSinformation", SH_PULL, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(STN_SR) = {"STN-SR", SH_PULL | SH_UPDATE, .by_msisdn = true, .source = SH_NEVER_SET},
    REF(UE_SRVCC_Capability) = {"UE-SRVCC-Capability", SH_PULL | SH_NOTIFY, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(ExtendedPriority) = {"ExtendedPriority", SH_PULL | SH_NOTIFY, .by_msisdn = true, .source = SH_NEVER_SET},
    REF(CSRN) = {"CSRN", SH_PULL, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(ReferenceLocationInformation) = {"ReferenceLocationInformation", SH_PULL, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(IMSI) = {"IMSI", SH_PULL, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(IMSPrivateUserIdentity) = {"IMSPrivateUserIdentity", SH_PULL, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(IMEISV) = {"IMEISV", SH_PULL, .by_msisdn = true, .source = SH_ELSEWHERE},
    REF(UE_5G_SRVCC_Capability) = {"UE-5G-SRVCC-Capability", SH_PULL | SH_NOTIFY, .by_msisdn = true, .source = SH_ELSEWHERE},
};
/* clang-format on */

#define SUCCESS     DIAMETER_RESULT(DIAMETER_SUCCESS)
#define ERROR(code) DIAMETER_3GPP_RESULT(DIAMETER_ERROR_##code)

static const struct sh_rule *rule_of(unsigned reference) {
    return reference < SH_REFERENCES && sh_rules[reference].name ? &sh_rules[reference] : NULL;
}

bool sh_reference_parse(struct span name, unsigned *reference) {
    for (unsigned i = 0; i < SH_REFERENCES; i++) {
        if (rule_of(i) && span_eq_nocase(span_from_cstr(sh_rules[i].name), name)) {
            *reference = i;
            return true;
        }
    }
    return false;
}

uint64_t sh_references_of(enum sh_operation operation) {
    uint64_t all = 0;
    for (unsigned i = 0; i < SH_REFERENCES; i++) {
        all |= sh_rules[i].operations & operation ? UINT64_C(1) << i : 0;
    }
    return all;
}

struct diameter_result sh_permit(const struct sh_permissions *p, enum sh_operation operation,
                                 unsigned reference) {
    uint64_t allowed = 0;
    struct diameter_result refusal = ERROR(USER_DATA_CANNOT_BE_READ);
    if (operation == SH_UPDATE) {
        refusal = ERROR(USER_DATA_CANNOT_BE_MODIFIED);
        allowed = p ? p->update : 0;
    } else if (operation == SH_NOTIFY) {
        refusal = ERROR(USER_DATA_CANNOT_BE_NOTIFIED);
        allowed = p ? p->notify : 0;
    } else {
        allowed = p ? p->pull : 0;
    }
    return reference < SH_REFERENCES && allowed >> reference & 1 ? SUCCESS : refusal;
}

struct diameter_result sh_accessible(enum sh_operation operation, unsigned reference,
                                     bool by_msisdn, bool is_psi) {
    const struct sh_rule *rule = rule_of(reference);
    if (!rule || !(rule->operations & operation) || (by_msisdn && !rule->by_msisdn)) {
        return ERROR(OPERATION_NOT_ALLOWED);
    }
    switch (rule->source) {
    case SH_SUBSCRIBER:
    case SH_REPOSITORY:
        return SUCCESS;
    case SH_PSI:
        return is_psi ? SUCCESS : ERROR(OPERATION_NOT_ALLOWED);
    case SH_NEVER_SET:
        return operation == SH_PULL ? SUCCESS : ERROR(OPERATION_NOT_ALLOWED);
    case SH_ELSEWHERE:
        return operation == SH_PULL ? DIAMETER_3GPP_RESULT(DIAMETER_USER_DATA_NOT_AVAILABLE)
                                    : ERROR(OPERATION_NOT_ALLOWED);
    case SH_DSAI_TAGS:
        return ERROR(DSAI_NOT_AVAILABLE);
    case SH_NOWHERE:
        break;
    }
    return ERROR(OPERATION_NOT_ALLOWED);
}

uint32_t sh_next_sequence_number(uint32_t number) {
    return number % SHDATA_SEQUENCE_MAX + 1;
}

struct diameter_result sh_decide_update(bool stored, uint32_t number,
                                        const struct shdata_repository *asked, size_t bytes_max,
                                        enum sh_update *effect) {
    *effect = SH_REFUSE;
    if (asked->sequence_number != (stored ? sh_next_sequence_number(number) : 0)) {
        return ERROR(TRANSPARENT_DATA_OUT_OF_SYNC);
    }
    if (!stored && !asked->has_service_data) {
        return ERROR(OPERATION_NOT_ALLOWED);
    }
    if (asked->service_data.n > bytes_max) {
        return ERROR(TOO_MUCH_DATA);
    }
    *effect = !stored ? SH_CREATE : asked->has_service_data ? SH_REPLACE : SH_DELETE;
    return SUCCESS;
}
