# rspamd_start DIR: a private rspamd in DIR, rules only, no network, no Redis, listening on DIR/socket. Sourced by run.
rspamd_start() {
    mkdir -p "$1"
    chmod 755 "$work" "$1"
    mkdir -p "$1/local.d"
    for module in fuzzy_check rbl surbl dmarc spf dkim dkim_signing arc asn greylist ratelimit replies history_redis neural reputation \
        mx_check hfilter phishing milter_headers whitelist clickhouse url_redirector antivirus bayes_expiry; do
        case $module in hfilter | phishing) ;; *) echo 'enabled = false;' >"$1/local.d/$module.conf" ;; esac
    done
    cat >"$1/rspamd.conf" <<CONF
.include "/etc/rspamd/common.conf"
options {
    pidfile = "$1/pid";
    filters = "chartable,regexp";
    dns { timeout = 0.1s; retransmits = 1; nameserver = ["127.0.0.1:9"]; }
}
logging { type = "file"; filename = "$1/log"; level = "error"; }
worker "normal" { bind_socket = "$1/socket mode=0666"; count = 1; }
worker "controller" { enabled = false; }
worker "rspamd_proxy" { enabled = false; }
worker "fuzzy" { enabled = false; }
CONF
    rspamd --no-fork --insecure --var="LOCAL_CONFDIR=$1" -u "$(id -un)" -g "$(id -gn)" -c "$1/rspamd.conf" >"$1/out" 2>&1 &
    started="$started $!"
    tries=0
    while [ ! -S "$1/socket" ]; do
        tries=$((tries + 1))
        [ $tries -lt 900 ] || return 1 # it compiles patterns for up to a minute first
        sleep 0.1
    done
}
