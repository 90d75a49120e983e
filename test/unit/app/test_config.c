/* What a configuration says, and what is said about a wrong one: file, line, fault, remedy. */
#include "app/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define NETWORK "network: {mcc: 001, mnc: 01}\n"
#define NODES   "nodes:\n  pcscf:\n  icscf:\n  scscf:\n  hss:\n"
#define WHOLE   NETWORK NODES
#define AGENTS                                                                                     \
    NETWORK "nodes:\n  pcscf:\n  icscf:\n  scscf:\n  hss: {peers: {far.a.b: agent}}\n"             \
            "  scscf-2:\n    diameter-agents:\n"

static const struct {
    const char *text, *faults;
} mistakes[] = {
    {"", "t.yaml: the file is empty; config/home.yaml shows what belongs into it\n"},
    {"network: {mcc: 001, mnc: 01\n", "t.yaml:2: not YAML: did not find expected ',' or '}' while "
                                      "parsing a flow mapping (that began "
                                      "in line 1)\n"},
    {"- a\n- b\n", "t.yaml:1: settings are expected here (name: value), not a list\n"},
    {WHOLE "---\na: b\n", "t.yaml:7: a second document begins here: one file is one document\n"},
    {NODES, "t.yaml:1: network is missing here\n"},
    {"network: {mcc: 001}\n" NODES, "t.yaml:1: mnc is missing here\n"},
    {NETWORK, "t.yaml:1: nodes is missing here\n"},
    {WHOLE "webb: {}\n", "t.yaml:7: \"webb\" is not a setting here: did you mean web?\n"},
    {WHOLE "frobnicate: 1\n",
     "t.yaml:7: \"frobnicate\" is not a setting here; there are network, nodes, store, "
     "dns, subscribers, tls, web, log, journal or trace\n"},
    {WHOLE "log: info\nlog: debug\n", "t.yaml:8: \"log\" stands here twice: first in line 7\n"},
    {WHOLE "log: loud\n",
     "t.yaml:7: log is \"loud\"; it takes debug, info, notice, warning or error\n"},
    {WHOLE "log: [a]\n", "t.yaml:7: log: a single value is expected, not a list\n"},
    {WHOLE "trace: 16 MB\n",
     "t.yaml:7: trace is \"16 MB\"; it takes bytes from 0 to 68719476736, as in \"64 MiB\"\n"},
    {WHOLE "subscribers: a.yaml\n",
     "t.yaml:7: subscribers: a list is expected, not a single value\n"},
    {WHOLE "store: {kind: oracle}\n", "t.yaml:7: kind is \"oracle\"; it takes lmdb or memory\n"},
    {WHOLE "web: {listen: 10.0.0.1}\n",
     "t.yaml:7: web: listen takes a loopback address, as in \"127.0.0.1:8080\"; others are served "
     "over TLS and with tokens only: give tls-listen, tls and tokens-file\n"},
    {WHOLE "web: {tls-listen: 10.0.0.1, tls: {certificate: a, key: b}}\n",
     "t.yaml:7: web: tls-listen is not a loopback address, so it needs a tokens-file; \"muster "
     "token new NAME --rights admin --file FILE\" begins one\n"},
    {WHOLE "web: {tls-listen: 127.0.0.1}\n",
     "t.yaml:7: web: tls-listen needs a certificate for "
     "hss.ims.mnc001.mcc001.3gppnetwork.org: add tls: {certificate: FILE, key: FILE}, here or for "
     "the whole file; docs/tls.md shows how to make them\n"},
    {WHOLE "web: {tls-listen: 127.0.0.1:8080, tls: {certificate: a, key: b}}\n",
     "t.yaml:7: web: listen and tls-listen are the same address\n"},
    {WHOLE "web: {tokens-file: /nowhere/tokens.yaml}\n",
     "t.yaml:7: web: tokens-file /nowhere/tokens.yaml: not found; \"muster token new NAME --rights "
     "admin --file /nowhere/tokens.yaml\" begins one\n"},
    {WHOLE "web: {listen: localhost}\n",
     "t.yaml:7: listen is \"localhost\"; it takes an IP address, with a port if it is not 8080, as "
     "in \"127.0.0.1:8080\"\n"},
    {NETWORK "nodes: []\n", "t.yaml:2: nodes: entries are expected (name: ...), not a list\n"},
    {NETWORK "nodes: {}\n", "t.yaml: no node runs here: all are remote, or there are none\n"},
    {NETWORK "nodes: {x: {}}\n",
     "t.yaml:2: what is \"x\"? Say its role: pcscf, icscf, scscf or hss\n"},
    {NETWORK "nodes: {x: {role: mme}}\n",
     "t.yaml:2: role is \"mme\"; it takes pcscf, icscf, scscf or hss\n"},
    {NETWORK "nodes: {hss: {}, hss: {}}\n",
     "t.yaml:2: \"hss\" stands here twice: first in line 2\n"},
    {WHOLE "  scscf-2: {listen: 127.0.0.1:6060}\n",
     "t.yaml:7: scscf-2 listens on 127.0.0.1:6060 like scscf (line 5)\n"},
    {WHOLE "  scscf-2: {host: SCSCF.ims.mnc001.mcc001.3gppnetwork.org}\n",
     "t.yaml:7: scscf-2 has the host name of scscf (line 5): "
     "scscf.ims.mnc001.mcc001.3gppnetwork.org\n"},
    {WHOLE "  scscf-2: {name: \"sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:6060\"}\n",
     "t.yaml:7: scscf-2 has the name of scscf (line 5): "
     "sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:6060\n"},
    {WHOLE "  scscf-2: {name: scscf2}\n",
     "t.yaml:7: scscf-2: name is \"scscf2\"; it takes a SIP URI, as in "
     "\"sip:scscf-2.ims.mnc001.mcc001.3gppnetwork.org:6061\"\n"},
    {WHOLE "dns: {servers: [nowhere]}\n", "t.yaml:7: \"nowhere\" is no DNS server; it takes an IP "
                                          "address, with a port if it is not 53, as "
                                          "in \"127.0.0.50:5353\"\n"},
    {WHOLE "tls: {key: k.pem}\n",
     "t.yaml:7: tls: certificate and key belong together: the certificate is missing\n"},
    {WHOLE "  scscf-2: {tls: {certificate: c.pem}}\n",
     "t.yaml:7: tls: certificate and key belong together: the key is missing\n"},
    {WHOLE "  scscf-2: {diameter-tls: yes}\ntls: {certificate: c, key: k}\n",
     "t.yaml:7: scscf-2: diameter-tls needs an HSS with tls-listen, and hss (line 6) has none\n"},
    {NETWORK "nodes:\n  hss: {tls-listen: 127.0.0.1}\n",
     "t.yaml:3: hss: tls-listen needs a certificate: add tls: {certificate: FILE, key: FILE, "
     "trust: "
     "FILE}, here or for the whole file\n"},
    {NETWORK "nodes:\n  hss: {tls-listen: \"127.0.0.1:3868\"}\ntls: {certificate: c, key: k}\n",
     "t.yaml:3: hss: listen and tls-listen are the same\n"},
    {NETWORK "nodes:\n  hss:\n    peers:\n      a.example.org: {role: as, tls: yes}\n",
     "t.yaml:5: a.example.org comes over TLS only, but hss has no tls-listen\n"},
    {NETWORK "nodes:\n  hss:\n    peers:\n      a.example.org: {tls: yes}\n",
     "t.yaml:5: role is missing here\n"},
    {WHOLE "  hss-2: {}\n",
     "t.yaml:2: there are 2 HSSs; a network without a subscription locator has one\n"},
    {WHOLE "  scscf-2: {expires-min-s: 100, expires-max-s: 50}\n",
     "t.yaml:7: scscf-2: expires-min-s (100) is above expires-max-s (50)\n"},
    {WHOLE "  scscf-2: {expires-default-s: 30}\n",
     "t.yaml:7: scscf-2: expires-default-s (30) is not between expires-min-s (60) and "
     "expires-max-s (600000)\n"},
    {WHOLE "  scscf-2: {contacts-max: 0}\n",
     "t.yaml:7: contacts-max is \"0\"; it takes a number from 1 to 64\n"},
    {WHOLE "  scscf-2: {contacts-max: many}\n",
     "t.yaml:7: contacts-max is \"many\"; it takes a number from 1 to 64\n"},
    {WHOLE "  scscf-2: {capabilities: [1, -2]}\n",
     "t.yaml:7: an item is \"-2\"; it takes a number from 0 to 4294967295\n"},
    {WHOLE "  scscf-2: {capabilities: 1}\n",
     "t.yaml:7: a list of numbers is expected, as in [1, 2]\n"},
    {WHOLE "  scscf-2: {remote: perhaps}\n",
     "t.yaml:7: remote is \"perhaps\"; it takes yes or no\n"},
    {WHOLE "  scscf-2: {ipsec: off}\n",
     "t.yaml:7: \"ipsec\" is not a setting here; there are role, host, remote, listen, name, "
     "capabilities, weight, expires-min-s, expires-max-s, expires-default-s, contacts-max, "
     "attempts-max, reg-await-auth-s, challenges-max, aka-without-integrity, algorithms, "
     "shared-ifc-sets, digest-nonce-s, subscriptions-max, subscription-min-s, application-servers, "
     "trust-auth-done, trusted, diameter-timeout-ms, "
     "diameter-watchdog-s, tls, diameter-tls, diameter-agents, pending-max, transports, "
     "tls-listen, "
     "connections-max, idle-s, datagram-max, message-max, overload-delay-ms, retry-after-min-s or "
     "retry-after-max-s\n"},
    {WHOLE "  scscf-2: {algorithms: [MD5, SHA-512]}\n",
     "t.yaml:7: \"SHA-512\" is no algorithm; there are AKAv2-SHA-256, AKAv2-MD5, AKAv1-MD5, "
     "SHA-256 "
     "and MD5\n"},
    {WHOLE "  scscf-2: {algorithms: [MD5, md5]}\n", "t.yaml:7: md5 stands there twice\n"},
    {WHOLE "  scscf-2: {trusted: [\"as.example.org\"]}\n",
     "t.yaml:7: trusted has \"as.example.org\"; it takes IP addresses without ports, as in "
     "[192.0.2.1]\n"},
    {WHOLE "  scscf-2: {algorithms: []}\n",
     "t.yaml:7: algorithms is empty: nobody could register\n"},
    {WHOLE "  pcscf-2: {ipsec: on}\n", "t.yaml:7: ipsec is \"on\"; it takes off\n"},
    {WHOLE "  pcscf-2: {listen: 0.0.0.0:5061}\n",
     "t.yaml:7: pcscf-2: listen needs one address of this machine: others look it up\n"},
    {WHOLE "  pcscf-2: {listen: \"127.0.0.1:0\"}\n",
     "t.yaml:7: pcscf-2: listen needs a port other than 0: others look it up\n"},
    {WHOLE "  pcscf-2: {host: a_b}\n",
     "t.yaml:7: pcscf-2: domain \"a_b\" must be labels of letters, digits and hyphens, joined by "
     "dots, without a dot at the end, such as ims.mnc001.mcc001.3gppnetwork.org\n"},
    {NETWORK "nodes:\n  hss: {peers: {a.b: hss}}\n",
     "t.yaml:3: a.b is \"hss\"; it takes icscf, scscf, as or agent\n"},
    {NETWORK "nodes:\n  hss: {peers: {a_b: as}}\n",
     "t.yaml:3: hss: domain \"a_b\" must be labels of letters, digits and hyphens, joined by dots, "
     "without a dot at the end, such as ims.mnc001.mcc001.3gppnetwork.org\n"},
    {NETWORK "nodes:\n  hss: {peers: {a.b: {role: as, address: dra}}}\n",
     "t.yaml:3: address is \"dra\"; it takes an IP address, with or without a port, as in "
     "\"192.0.2.1\"\n"},
    {WHOLE "  scscf-2: {diameter-agents: {}}\n",
     "t.yaml:7: diameter-agents is empty: leave it out to connect to the HSS itself\n"},
    {WHOLE "  scscf-2:\n    diameter-agents:\n      dra.a.b: dra\n",
     "t.yaml:9: dra.a.b is \"dra\"; it takes the agent's IP address, as in \"192.0.2.1:3868\", or "
     "{address: ..., tls: yes, priority: 2}\n"},
    {WHOLE "  scscf-2:\n    diameter-agents:\n      dra.a.b: {tls: yes}\n",
     "t.yaml:9: address is missing here\n"},
    {AGENTS "      dra_1: 10.0.0.1\n",
     "t.yaml:9: scscf-2: domain \"dra_1\" must be labels of letters, digits and hyphens, joined by "
     "dots, without a dot at the end, such as ims.mnc001.mcc001.3gppnetwork.org\n"},
    {AGENTS "      hss.ims.mnc001.mcc001.3gppnetwork.org: 10.0.0.1\n",
     "t.yaml:9: hss.ims.mnc001.mcc001.3gppnetwork.org is hss of this file (line 6), not a Diameter "
     "agent\n"},
    {AGENTS "      dra.a.b: {address: 10.0.0.1, tls: yes}\n",
     "t.yaml:7: scscf-2: an agent with tls needs a certificate: add tls: {certificate: FILE, key: "
     "FILE, trust: FILE}, here or for the whole file\n"},
    {NETWORK "nodes:\n  hss: {tls-listen: 127.0.0.1, peers: {far.a.b: agent}}\n"
             "  scscf: {diameter-tls: yes, diameter-agents: {dra.a.b: 10.0.0.1}}\n"
             "tls: {certificate: c, key: k}\n",
     "t.yaml:4: scscf: diameter-tls is about the HSS, and there are agents between: say tls: yes "
     "at each of them, as in {address: 192.0.2.1, tls: yes}\n"},
    {WHOLE "  scscf-2:\n    diameter-agents: {dra.a.b: 10.0.0.1}\n",
     "t.yaml:6: hss would refuse what scscf-2 (line 7) asks through agents: add those that connect "
     "to it, as in peers: {dra.a.b: agent}\n"},
    {NETWORK "nodes:\n  scscf:\n  hss:\n    peers:\n"
             "      scscf.ims.mnc001.mcc001.3gppnetwork.org: scscf\n",
     "t.yaml:6: scscf.ims.mnc001.mcc001.3gppnetwork.org is a node of this file (line 3) and a peer "
     "by that: leave it out here\n"},
    {NETWORK "nodes:\n  pcscf:\n",
     "t.yaml:2: a P-CSCF sends registrations to an I-CSCF, but there is no icscf among the nodes: "
     "add it, with \"remote: yes\" if it runs in another process\n"},
    {"network: {mcc: 1, mnc: 01}\n" NODES,
     "t.yaml:1: MCC \"1\" must be three digits, such as 001\n"},
    {"network:\n  mcc: 001\n  mnc: 0001\n" NODES,
     "t.yaml:3: MNC \"0001\" must be two or three digits, as many as it has in the IMSI, such as "
     "01; in YAML write it in quotes\n"},
    {"network: {mcc: 001, mnc: 01, domain: a..b}\n" NODES,
     "t.yaml:1: domain \"a..b\" must be labels of letters, digits and hyphens, joined by dots, "
     "without a dot at the end, such as ims.mnc001.mcc001.3gppnetwork.org\n"},
    {"network: {mcc: 001, mnc: 01}\nnodes:\n  hss: {listen: 127.0.0.1:8080}\n",
     "t.yaml:3: hss listens where the web interface does\n"},
};

static enum error config_parse(const char *name, struct span text, struct config *out,
                               char **faults) {
    const struct config_layer layer = {name, &text};
    return config_load_layers(&layer, 1, out, faults);
}

static void every_mistake_is_explained(void **state) {
    size_t wrong = 0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        struct config c;
        char *faults = NULL;
        enum error e = config_parse("t.yaml", span_from_cstr(mistakes[i].text), &c, &faults);
        assert_int_equal(e, ERR_INVALID);
        assert_non_null(faults);
        if (strcmp(faults, mistakes[i].faults) != 0) {
            print_error("%s\nexpected %sgot      %s", mistakes[i].text, mistakes[i].faults, faults);
            wrong++;
        }
        free(faults);
    }
    assert_int_equal(wrong, 0);
}

static void load_builtin(struct config *c) {
    char *faults = NULL;
    enum error e = config_load(NULL, c, &faults);
    if (faults) {
        print_error("%s", faults);
    }
    assert_int_equal(e, OK);
    assert_null(faults);
}

static void home_network_is_what_the_names_say(void **state) {
    struct config c;
    (void)state;
    load_builtin(&c);
    assert_string_equal(c.domain, "ims.mnc001.mcc001.3gppnetwork.org");
    assert_int_equal(c.n_nodes, 4);
    const struct config_node *s = config_node(&c, SPAN("scscf"));
    assert_non_null(s);
    assert_int_equal(s->role, NAMING_SCSCF);
    assert_string_equal(s->host, "scscf.ims.mnc001.mcc001.3gppnetwork.org");
    assert_string_equal(s->sip_name, "sip:scscf.ims.mnc001.mcc001.3gppnetwork.org:6060");
    assert_int_equal(s->expires_max_s, 600000);
    assert_int_equal(c.nodes[0].role, NAMING_PCSCF);
    assert_string_equal(c.nodes[0].visited_network, c.domain);
    assert_int_equal(c.n_subscribers, 1);
    assert_int_equal(c.trace_bytes, 16 << 20);
    assert_null(config_node(&c, SPAN("pgw")));
    config_free(&c);
}

static void minimal_file_equals_the_builtin_one(void **state) {
    struct config a, b;
    char *faults = NULL;
    (void)state;
    load_builtin(&a);
    assert_int_equal(config_parse("t.yaml", SPAN(WHOLE), &b, &faults), OK);
    assert_int_equal(a.n_nodes, b.n_nodes);
    for (size_t i = 0; i < a.n_nodes; i++) {
        assert_string_equal(a.nodes[i].host, b.nodes[i].host);
        assert_true(addr_eq(&a.nodes[i].listen, &b.nodes[i].listen));
    }
    assert_true(addr_eq(&a.web.listen, &b.web.listen));
    config_free(&a);
    config_free(&b);
}

static void instances_get_addresses_and_names_of_their_own(void **state) {
    struct config c;
    char *faults = NULL;
    (void)state;
    assert_int_equal(config_parse("t.yaml",
                                  SPAN(WHOLE "  scscf-2: {capabilities: [1, 7], weight: 3}\n"
                                             "  door: {role: pcscf, remote: yes}\n"),
                                  &c, &faults),
                     OK);
    const struct config_node *s = config_node(&c, SPAN("scscf-2"));
    assert_int_equal(s->listen.port, 6061);
    assert_string_equal(s->sip_name, "sip:scscf-2.ims.mnc001.mcc001.3gppnetwork.org:6061");
    assert_int_equal(s->n_capabilities, 2);
    assert_int_equal(s->capabilities[1], 7);
    const struct config_node *p = config_node(&c, SPAN("door"));
    assert_true(p->remote);
    assert_int_equal(p->listen.port, 5061);
    struct addr elsewhere = addr_v4(127, 0, 7, 1, 0);
    config_set_host(&c, &elsewhere);
    assert_int_equal(s->listen.ip[2], 7);
    assert_int_equal(s->listen.port, 6061);
    assert_int_equal(c.web.listen.port, 8080);
    config_free(&c);
}

static void agents_have_usual_ports_and_may_be_replaced(void **state) {
    struct span base = SPAN(AGENTS "      dra-1.a.b: 10.0.0.1\n"
                                   "      dra-2.a.b: {address: 10.0.0.2, tls: yes, priority: 7}\n"
                                   "      dra-3.a.b: 10.0.0.3:3870\n"
                                   "tls: {certificate: c, key: k}\n"),
                change = SPAN("nodes:\n  scscf-2: {diameter-agents: {dra-9.a.b: 10.0.0.9}}\n"
                              "  hss: {peers: {near.a.b: {role: agent, tls: no}}}\n");
    const struct config_layer layers[] = {{"t.yaml", &base}, {"more.yaml", &change}};
    struct config c;
    char *faults = NULL;
    (void)state;
    assert_int_equal(config_load_layers(layers, 1, &c, &faults), OK);
    const struct config_node *s = config_node(&c, SPAN("scscf-2"));
    assert_int_equal(s->n_agents, 3);
    assert_string_equal(s->agents[0].host, "dra-1.a.b");
    assert_int_equal(s->agents[0].address.port, 3868);
    assert_int_equal(s->agents[0].priority, 1);
    assert_false(s->agents[0].tls);
    assert_int_equal(s->agents[1].address.port, 5658);
    assert_int_equal(s->agents[1].priority, 7);
    assert_true(s->agents[1].tls);
    assert_int_equal(s->agents[2].address.port, 3870);
    config_free(&c);
    assert_int_equal(config_load_layers(layers, 2, &c, &faults), OK);
    s = config_node(&c, SPAN("scscf-2"));
    assert_int_equal(s->n_agents, 1);
    assert_string_equal(s->agents[0].host, "dra-9.a.b");
    const struct config_node *hss = config_node(&c, SPAN("hss"));
    assert_int_equal(hss->n_peers, 1);
    assert_string_equal(hss->peers[0].host, "near.a.b");
    config_free(&c);
}

static void layers_change_what_stands_before_them(void **state) {
    struct span base = SPAN(WHOLE),
                change = SPAN("nodes:\n  scscf: {expires-min-s: 3600}\n  scscf-2:\nlog: debug\n"),
                wrong = SPAN("\nnodes:\n  scscf: {expires-max-s: 10}\n  hss: {role: pcscf}\n");
    struct config_layer layers[] = {{"t.yaml", &base}, {"more.yaml", &change}};
    struct config c;
    char *faults = NULL;
    (void)state;
    assert_int_equal(config_load_layers(layers, 2, &c, &faults), OK);
    assert_int_equal(c.n_nodes, 5);
    assert_int_equal(config_node(&c, SPAN("scscf"))->expires_min_s, 3600);
    assert_int_equal(config_node(&c, SPAN("scscf-2"))->expires_min_s, 60);
    assert_int_equal(c.log_level, LOG_DEBUG);
    config_free(&c);
    layers[1].text = &wrong;
    assert_int_equal(config_load_layers(layers, 2, &c, &faults), ERR_INVALID);
    assert_string_equal(faults, "more.yaml:4: hss has the role hss already\n");
    free(faults);
    wrong = SPAN("nodes:\n  scscf: {expires-max-s: 10}\n");
    assert_int_equal(config_load_layers(layers, 2, &c, &faults), ERR_INVALID);
    assert_string_equal(faults,
                        "more.yaml:2: scscf: expires-min-s (60) is above expires-max-s (10)\n");
    free(faults);
}

static void many_faults_are_counted(void **state) {
    char text[2048], *faults = NULL;
    struct config c;
    (void)state;
    struct buf b = buf_init(text, sizeof text);
    for (int i = 0; i < 50; i++) {
        buf_printf(&b, "unknown-%d: 1\n", i);
    }
    assert_int_equal(config_parse("t.yaml", buf_span(&b), &c, &faults), ERR_INVALID);
    assert_non_null(strstr(faults, "t.yaml:20: "));
    assert_null(strstr(faults, "t.yaml:21: "));
    assert_non_null(strstr(faults, "... and 32 more\n"));
    free(faults);
}

static void names_are_looked_up_where_it_says(void **state) {
    struct config c;
    char *faults = NULL, text[1024];
    struct buf b = buf_init(text, sizeof text);
    (void)state;
    assert_int_equal(config_parse("t.yaml",
                                  SPAN(WHOLE "dns: {servers: [127.0.0.50, \"[::1]:5353\"]}\n"), &c,
                                  &faults),
                     OK);
    assert_int_equal(c.dns.n_servers, 2);
    assert_int_equal(c.dns.servers[0].port, 53);
    assert_int_equal(c.dns.servers[1].family, 6);
    config_free(&c);
    buf_cstr(&b, WHOLE "dns:\n  servers:\n");
    for (int i = 0; i <= DNS_SERVERS_MAX; i++) {
        buf_printf(&b, "  - 127.0.0.%d\n", i + 1);
    }
    assert_int_equal(config_parse("t.yaml", buf_span(&b), &c, &faults), ERR_INVALID);
    assert_non_null(strstr(faults, " DNS servers"));
    free(faults);
}

static const char *store_path(const char *text, char *out, size_t cap) {
    struct config c;
    char *faults = NULL;
    assert_int_equal(config_parse("t.yaml", span_from_cstr(text), &c, &faults), OK);
    bool fits = config_store_path(&c, out, cap);
    config_free(&c);
    return fits ? out : NULL;
}

static void the_store_is_in_a_folder_of_its_own(void **state) {
    char out[256];
    (void)state;
    assert_int_equal(setenv("HOME", "/home/a", 1), 0);
    assert_int_equal(unsetenv("XDG_STATE_HOME"), 0);
    assert_string_equal(store_path(WHOLE, out, sizeof out),
                        "/home/a/.local/state/muster/ims.mnc001.mcc001.3gppnetwork.org");
    assert_string_equal(store_path(WHOLE "store: {path: ~/x}\n", out, sizeof out), "/home/a/x");
    assert_string_equal(store_path(WHOLE "store: {path: /var/x}\n", out, sizeof out), "/var/x");
    assert_null(store_path(WHOLE "store: {path: /var/x}\n", out, 5));
    assert_int_equal(setenv("XDG_STATE_HOME", "/state", 1), 0);
    assert_string_equal(store_path(WHOLE, out, sizeof out),
                        "/state/muster/ims.mnc001.mcc001.3gppnetwork.org");
    assert_int_equal(unsetenv("XDG_STATE_HOME"), 0);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_null(store_path(WHOLE, out, sizeof out));
}

/* Certificates: a node's own go before the file's, paths are relative to the file, and what is
 * wrong with one is said with the line that names it. */
static void certificates_are_those_of_the_file(void **state) {
    static const char text[] = WHOLE "  scscf-2:\n    tls: {certificate: own.pem, key: own.key}\n"
                                     "tls: {certificate: c.pem, key: k.pem, trust: t.pem}\n";
    struct tls_context *context = NULL;
    struct config c;
    char *faults = NULL, message[512], folder[64], path[3000];
    (void)state;
    assert_int_equal(config_parse("/nowhere/t.yaml", SPAN(text), &c, &faults), OK);
    const struct config_node *own = config_node(&c, SPAN("scscf-2"));
    assert_string_equal(config_tls_of(&c, own).certificate.path, "own.pem");
    assert_string_equal(config_tls_of(&c, own).trust.path, "t.pem");
    assert_string_equal(config_tls_of(&c, config_node(&c, SPAN("hss"))).key.path, "k.pem");
    assert_string_equal(config_tls_of(&c, NULL).key.path, "k.pem");
    config_folder(&c, folder, sizeof folder);
    assert_string_equal(folder, "/nowhere");
    assert_int_not_equal(config_tls_context(&c, own, TLS_CLIENT_ANYBODY, &context, message, 512),
                         OK);
    assert_non_null(strstr(message, "/nowhere/t.yaml:8: "));
    assert_int_not_equal(config_tls_of_terminal(&c, &context, message, sizeof message), OK);
    assert_non_null(strstr(message, "/nowhere/t.yaml:9: "));
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    c.tls.trust.path = path;
    assert_int_equal(config_tls_of_terminal(&c, &context, message, sizeof message), ERR_TOO_BIG);
    assert_int_equal(config_tls_context(&c, own, TLS_CLIENT_ANYBODY, &context, message, 512),
                     ERR_TOO_BIG);
    config_free(&c);
    load_builtin(&c);
    config_folder(&c, folder, sizeof folder);
    assert_string_equal(folder, ".");
    config_free(&c);
}

static void missing_file_is_named(void **state) {
    struct config c;
    char *faults = NULL;
    (void)state;
    assert_int_equal(config_load("/nowhere/x.yaml", &c, &faults), ERR_NOT_FOUND);
    assert_string_equal(faults, "/nowhere/x.yaml: cannot be read: not found\n");
    free(faults);
}

static void hostile_yaml_ends(void **state) {
    static const char *const texts[] = {
        "network: &a [*a, *a]\nnodes: *a\n",
        "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nnodes: {hss: {capabilities: *b}}\nnetwork: *b\n",
        "\xff\xfe\x00",
        "network: {mcc: \"0\\01\", mnc: 01}\nnodes: {hss: }\n",
        "? [a, b]\n: c\n",
        "nodes: {\"\": {}}\n",
        "%YAML 9.9\n---\n",
        "network: !!binary x\nnodes: ~\n",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct config c;
        char *faults = NULL;
        assert_int_equal(config_parse("t.yaml", span_from_cstr(texts[i]), &c, &faults),
                         ERR_INVALID);
        assert_non_null(faults);
        free(faults);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_explained),
        cmocka_unit_test(home_network_is_what_the_names_say),
        cmocka_unit_test(minimal_file_equals_the_builtin_one),
        cmocka_unit_test(instances_get_addresses_and_names_of_their_own),
        cmocka_unit_test(agents_have_usual_ports_and_may_be_replaced),
        cmocka_unit_test(layers_change_what_stands_before_them),
        cmocka_unit_test(many_faults_are_counted),
        cmocka_unit_test(names_are_looked_up_where_it_says),
        cmocka_unit_test(the_store_is_in_a_folder_of_its_own),
        cmocka_unit_test(certificates_are_those_of_the_file),
        cmocka_unit_test(missing_file_is_named),
        cmocka_unit_test(hostile_yaml_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
