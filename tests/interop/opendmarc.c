/* Asks libopendmarc what becomes of a message; prints pass, reject, quarantine or none.
 * usage: opendmarc SUFFIXLIST FROM RECORD RECORD-DOMAIN ORGANIZATION|- SPF-DOMAIN|- DKIM-DOMAIN|- */
#include <sys/types.h>
#include <opendmarc/dmarc.h>
#include <stdio.h>
#include <string.h>

#define U(s) ((u_char *)(s))

int main(int argc, char **argv)
{
    OPENDMARC_LIB_T lib;
    if (argc != 8) return 64;
    memset(&lib, 0, sizeof lib);
    lib.tld_type = OPENDMARC_TLD_TYPE_MOZILLA;
    snprintf((char *)lib.tld_source_file, sizeof lib.tld_source_file, "%s", argv[1]);
    if (opendmarc_policy_library_init(&lib) != DMARC_PARSE_OKAY) return 1;
    DMARC_POLICY_T *p = opendmarc_policy_connect_init(U("192.0.2.1"), DMARC_POLICY_IP_TYPE_IPV4);
    opendmarc_policy_store_from_domain(p, U(argv[2]));
    u_char *organization = strcmp(argv[5], "-") != 0 ? U(argv[5]) : NULL;
    if (opendmarc_policy_store_dmarc(p, U(argv[3]), U(argv[4]), organization) != DMARC_PARSE_OKAY) {
        puts("norecord");
        return 0;
    }
    if (strcmp(argv[6], "-") != 0)
        opendmarc_policy_store_spf(p, U(argv[6]), DMARC_POLICY_SPF_OUTCOME_PASS, DMARC_POLICY_SPF_ORIGIN_MAILFROM, U("x"));
    if (strcmp(argv[7], "-") != 0)
        opendmarc_policy_store_dkim(p, U(argv[7]), U("s"), DMARC_POLICY_DKIM_OUTCOME_PASS, U("x"));
    switch (opendmarc_get_policy_to_enforce(p)) {
    case DMARC_POLICY_PASS: puts("pass"); break;
    case DMARC_POLICY_REJECT: puts("reject"); break;
    case DMARC_POLICY_QUARANTINE: puts("quarantine"); break;
    case DMARC_POLICY_NONE: puts("none"); break;
    default: puts("other"); break;
    }
    return 0;
}
