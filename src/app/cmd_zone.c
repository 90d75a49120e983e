/* muster zone: the DNS zone that a configuration needs. */
#include "app/command.h"
#include "app/config.h"
#include "app/names.h"

#include <stdlib.h>
#include <time.h>

enum {
    DNS_PORT = 53,
    LINE_MAX_BYTES = 1024,
    REFRESH_S = 3600,
    RETRY_S = 600,
    EXPIRE_S = 1209600,
    MINIMUM_S = 60
};

struct options {
    const char *config, *server;
    uint64_t serial;
};

/* What is printed, and where. */
struct output {
    struct span origin;
    uint32_t ttl_s;
    bool foreign; /* records of other zones, as comments */
    size_t n;
};

static bool is_foreign(struct span name, struct span origin) {
    size_t rest = name.n - origin.n;
    return name.n < origin.n || !span_eq_nocase(span_after(name, rest), origin) ||
           (rest && name.p[rest - 1] != '.');
}

static void print_record(void *ctx, const struct dns_record *r) {
    struct output *o = ctx;
    char bytes[LINE_MAX_BYTES];
    struct buf b = buf_init(bytes, sizeof bytes);
    if (is_foreign(r->name, o->origin) != o->foreign) {
        return;
    }
    o->n++;
    dns_name_print(&b, r->name, o->origin);
    size_t name = b.n;
    buf_char(&b, ' ');
    size_t data = b.n;
    dns_data_print(&b, r, o->origin);
    printf("%s%-24.*s IN %-6s %.*s\n", o->foreign ? "; " : "", (int)name, bytes,
           dns_type_name(r->type), (int)(b.n - data), bytes + data);
}

static void print_head(const struct options *o, const struct config *c, const struct addr *server,
                       uint32_t ttl_s) {
    char text[64], where_text[64];
    struct buf b = buf_init(text, sizeof text), where = buf_init(where_text, sizeof where_text);
    struct dns_record ns = {.type = server->family == 6 ? DNS_AAAA : DNS_A, .address = *server};
    dns_data_print(&b, &ns, SPAN_NONE);
    if (server->port && server->port != DNS_PORT) {
        addr_put(&where, server);
    } else {
        buf_put(&where, buf_span(&b));
    }
    printf("; The DNS zone of %s, as `muster zone` prints it.\n"
           ";\n"
           "; Save it as a file and let your DNS server serve it. Knot, in /etc/knot/knot.conf:\n"
           ";     zone:\n"
           ";       - domain: %s\n"
           ";         file: /etc/knot/%s.zone\n"
           "; BIND, in /etc/bind/named.conf.local:\n"
           ";     zone \"%s\" { type primary; file \"/etc/bind/%s.zone\"; };\n"
           "; Muster asks it when its configuration says so:\n"
           ";     dns: {servers: [%.*s]}\n\n",
           c->domain, c->domain, c->domain, c->domain, c->domain, (int)where.n, where_text);
    printf("$ORIGIN %s.\n$TTL %u\n\n", c->domain, ttl_s);
    printf("%-24s IN %-6s ns hostmaster %u %d %d %d %d\n", "@", "SOA", (unsigned)o->serial,
           REFRESH_S, RETRY_S, EXPIRE_S, MINIMUM_S);
    printf("%-24s IN %-6s ns\n", "@", "NS");
    printf("%-24s IN %-6s %.*s\n", "ns", dns_type_name(ns.type), (int)b.n, text);
}

static int print_zone(const struct options *o, const struct config *c) {
    struct dns_zone zone;
    struct addr server = c->dns.n_servers ? c->dns.servers[0] : addr_v4(127, 0, 0, 1, 0);
    if (o->server && !addr_parse_host(span_from_cstr(o->server), 0, &server)) {
        return command_fail(EXIT_CODE_USAGE, "--server takes an IP address, not \"%s\"", o->server);
    }
    dns_zone_init(&zone);
    enum error e = names_zone(c, &zone);
    if (!e) {
        struct output out = {.origin = span_from_cstr(c->domain), .ttl_s = zone.ttl_s};
        print_head(o, c, &server, zone.ttl_s);
        dns_zone_each(&zone, print_record, &out);
        out = (struct output){.origin = out.origin, .foreign = true};
        puts("");
        dns_zone_each(&zone, print_record, &out);
        if (out.n) {
            puts("; These names are not of this zone: whoever serves theirs adds them.");
        }
    }
    dns_zone_free(&zone);
    return e ? command_fail(EXIT_CODE_SYSTEM, "%s", error_text(e)) : EXIT_CODE_OK;
}

int cmd_zone(const struct command *self, int argc, char **argv) {
    struct options o = {.serial = (uint64_t)time(NULL)};
    const struct option_def options[] = {
        {.name = "config",
         .letter = 'c',
         .value = "FILE",
         .help = "the configuration; without it the home network that is built in",
         .kind = OPTION_TEXT,
         .out = &o.config},
        {.name = "server",
         .value = "ADDRESS",
         .help = "of the DNS server that will serve the zone (the configuration's first,\n"
                 "else 127.0.0.1)",
         .kind = OPTION_TEXT,
         .out = &o.server},
        {.name = "serial",
         .value = "NUMBER",
         .help = "of the zone (the time, in seconds since 1970)",
         .kind = OPTION_NUMBER,
         .out = &o.serial,
         .max = UINT32_MAX},
        {0},
    };
    const struct usage usage = {
        .arguments = "[-c FILE]",
        .text = "Prints the DNS zone that a configuration needs as a master file (RFC 1035): the\n"
                "home domain's NAPTR and SRV records, which lead to its I-CSCFs, those of every\n"
                "node, remote ones included, and the addresses of all hosts. Comments at its\n"
                "beginning say where to put it.",
        .options = options,
        .examples = "  muster zone > ims.zone\n"
                    "  muster zone -c home.yaml --server 192.0.2.53",
    };
    struct args rest;
    int code;
    if (!command_parse(self, &usage, argc, argv, &rest, &code)) {
        return code;
    }
    struct config *c = calloc(1, sizeof *c);
    char *faults = NULL;
    enum error e = c ? config_load(o.config, c, &faults) : ERR_NO_MEMORY;
    if (e) {
        fputs(faults ? faults : "muster: out of memory\n", stderr);
        code = e == ERR_NO_MEMORY ? EXIT_CODE_SYSTEM : EXIT_CODE_CONFIG;
    } else {
        code = print_zone(&o, c);
        config_free(c);
    }
    free(faults);
    free(c);
    return code;
}
