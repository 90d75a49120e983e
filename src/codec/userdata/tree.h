/* What both readers of User-Data have in common: a flat tree of elements, and what it means. */
#ifndef MUSTER_CODEC_USERDATA_TREE_H
#define MUSTER_CODEC_USERDATA_TREE_H

#include "codec/userdata/userdata.h"

/* Elements of annex E, and everything else. */
#define USERDATA_ELEMENTS(X)                                                                       \
    X(AliasIdentityGroupID)                                                                        \
    X(ApplicationServer)                                                                           \
    X(BarringIndication)                                                                           \
    X(ConditionNegated)                                                                            \
    X(ConditionTypeCNF)                                                                            \
    X(Content)                                                                                     \
    X(CoreNetworkServicesAuthorization)                                                            \
    X(DefaultHandling)                                                                             \
    X(DisplayName)                                                                                 \
    X(Extension)                                                                                   \
    X(Group)                                                                                       \
    X(Header)                                                                                      \
    X(IMSSubscription)                                                                             \
    X(Identity)                                                                                    \
    X(IdentityType)                                                                                \
    X(IncludeRegisterRequest)                                                                      \
    X(IncludeRegisterResponse)                                                                     \
    X(InitialFilterCriteria)                                                                       \
    X(Line)                                                                                        \
    X(ListOfServiceIds)                                                                            \
    X(Method)                                                                                      \
    X(Priority)                                                                                    \
    X(PrivateID)                                                                                   \
    X(ProfilePartIndicator)                                                                        \
    X(PublicIdentity)                                                                              \
    X(RegistrationType)                                                                            \
    X(RequestURI)                                                                                  \
    X(SIPHeader)                                                                                   \
    X(SPT)                                                                                         \
    X(ServerName)                                                                                  \
    X(ServiceId)                                                                                   \
    X(ServiceInfo)                                                                                 \
    X(ServiceProfile)                                                                              \
    X(SessionCase)                                                                                 \
    X(SessionDescription)                                                                          \
    X(SharedIFCSetID)                                                                              \
    X(SubscribedMediaProfileId)                                                                    \
    X(TriggerPoint)                                                                                \
    X(WildcardedIMPU)                                                                              \
    X(WildcardedPSI)

enum userdata_element {
    EL_OTHER,
#define USERDATA_ENUM(name) EL_##name,
    USERDATA_ELEMENTS(USERDATA_ENUM)
#undef USERDATA_ENUM
        EL_COUNT
};

enum { USERDATA_NONE = UINT32_MAX, USERDATA_NODES_MAX = 96 << 10 };

struct userdata_node {
    struct span text; /* character data, if it has no children; of what nobody knows, its XML */
    uint32_t child;   /* first, or USERDATA_NONE */
    uint32_t next;    /* sibling, or USERDATA_NONE */
    uint8_t element;  /* enum userdata_element */
    bool mixed;       /* children, and text that is not white space */
};

struct userdata_tree {
    struct arena *arena;
    struct userdata_node *nodes; /* the first is the root */
    uint32_t n, cap;
};

/** The element of this local name. */
enum userdata_element userdata_element_of(struct span name);

/** Appends a node without children; USERDATA_NONE and *error when memory or the bound is out. */
uint32_t userdata_tree_add(struct userdata_tree *t, enum userdata_element element,
                           enum error *error);

/** What the tree means. ERR_MALFORMED, ERR_TOO_BIG, ERR_NO_MEMORY. */
MUST_CHECK enum error userdata_interpret(const struct userdata_tree *t, struct userdata **out);

#endif
