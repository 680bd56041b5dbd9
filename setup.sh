#!/usr/bin/env bash
# The one script for people: makes the TUN interface, runs the stack, runs the tests.
# `./setup.sh help` lists what it does. It undoes only what it did.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly ROOT
readonly DEFAULT_NAME=tun0
readonly DEFAULT_IPV4=10.203.0.1/24
readonly DEFAULT_IPV6=fd74:756e:7374::1/64
# An interface that carries this alias was made by this script. The mark lives and dies with the
# interface, in whatever network namespace it is.
readonly MARK="made by tunstack setup.sh"
# The kernel's default of 500 packets drops bursts on their way to the stack.
readonly QUEUE_LENGTH=5000
readonly OLDEST_RUST=1.93

usage() {
    cat <<END
usage: ./setup.sh COMMAND

  up [NAME [IPV4/24 [IPV6/64]]]   makes the TUN interface NAME ($DEFAULT_NAME) with the host's
                                  addresses ($DEFAULT_IPV4, $DEFAULT_IPV6)
  down [NAME]                     removes it, if this script made it
  serve [ARGS]                    up, builds the program in release, runs it with ARGS
  shell [-c COMMAND]              a shell in a private network where the stack runs; no root needed
  test                            everything that CI runs
  bench [ARGS]                    the benchmarks
  help                            this text

Only the interface needs root: without it the script asks sudo for the ip commands alone.
END
}

say() { printf '%s\n' "$*"; }

die() {
    printf 'setup.sh: %s\n' "$*" >&2
    exit 1
}

# ---------------------------------------------------------------------------------------------
# Who does what

# Who called, also from inside sudo: the interface belongs to this user, and the program runs as it.
invoker() {
    if [[ $EUID -eq 0 && -n ${SUDO_USER:-} ]]; then
        say "$SUDO_USER"
    else
        id -un
    fi
}

can_be_root() { [[ $EUID -eq 0 ]] || command -v sudo >/dev/null; }

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and sudo is not here: use ./setup.sh shell, a private network that needs neither"
    fi
}

# What a command starts with that runs as the invoking user: nothing, or under sudo what gives root
# up.
AS_INVOKER=()
if [[ $(id -un) != "$(invoker)" ]]; then
    INVOKERS_HOME=$(getent passwd "$SUDO_USER" | cut -d: -f6)
    AS_INVOKER=(setpriv --reuid "$SUDO_USER" --regid "$(id -g "$SUDO_USER")" --init-groups --
        env HOME="$INVOKERS_HOME" USER="$SUDO_USER" PATH="$INVOKERS_HOME/.cargo/bin:$PATH")
fi

# ---------------------------------------------------------------------------------------------
# What must be installed

# Tries a command that uses the network up to three times.
with_retries() {
    local try
    for try in 1 2 3; do
        if "$@"; then
            return 0
        fi
        say "try $try of 3 failed: $*" >&2
        sleep "$((try * 2))"
    done
    return 1
}

# need COMMAND:PACKAGE... installs the packages of the commands that are missing, where it may.
need() {
    local pair packages=()
    # Administrators' commands are not on every user's path.
    PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    [[ ${#packages[@]} -gt 0 ]] || return 0
    if ! command -v apt-get >/dev/null || ! can_be_root; then
        die "missing: install ${packages[*]} (on Debian: apt-get install ${packages[*]})"
    fi
    say "installing ${packages[*]}"
    with_retries as_root apt-get update -q ||
        say "apt-get update failed; trying with the package lists that are here" >&2
    with_retries as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${packages[@]}" ||
        die "apt-get could not install ${packages[*]}: install them by hand"
}

need_rust() {
    need cc:gcc
    "${AS_INVOKER[@]}" bash -c 'command -v cargo' >/dev/null ||
        die "cargo is missing: install Rust $OLDEST_RUST or later with rustup"
}

# Everything that cargo downloads, so that what follows needs no network.
fetch_crates() {
    with_retries "${AS_INVOKER[@]}" cargo fetch --locked --manifest-path "$ROOT/Cargo.toml" ||
        die "cargo could not fetch the dependencies: check the network and try again"
    export CARGO_NET_OFFLINE=true
}

# Sets PROGRAM to the release binary, built now, unless TUNSTACK_BIN names one.
build_program() {
    if [[ -n ${TUNSTACK_BIN:-} ]]; then
        PROGRAM=$TUNSTACK_BIN
        [[ -x $PROGRAM ]] || die "TUNSTACK_BIN names $PROGRAM, which cannot be run"
        return
    fi
    need_rust
    (
        cd "$ROOT"
        fetch_crates
        "${AS_INVOKER[@]}" cargo build --release --locked
    )
    local target
    target=$(cd "$ROOT" && "${AS_INVOKER[@]}" cargo metadata --format-version 1 --no-deps --offline |
        sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    PROGRAM=$target/release/tunstack
}

# ---------------------------------------------------------------------------------------------
# The interface

exists() { ip link show dev "$1" >/dev/null 2>&1; }

is_tun() { [[ $(ip -d link show dev "$1") == *" tun type tun "* ]]; }

is_ours() { [[ $(ip link show dev "$1") == *" alias $MARK" ]]; }

owner_of() { ip -d link show dev "$1" | sed -n 's/.* persist on.* user \([^ ]*\) .*/\1/p'; }

# Routes and addresses of the machine that share an address with the given subnet, one a line,
# those of interface NAME left out. The default routes overlap everything and mean nothing here.
overlaps() {
    local name=$1 family=$2 subnet=$3
    {
        ip "$family" route show table all to root "$subnet"
        ip "$family" route show table all to match "$subnet"
        ip "$family" -o address show to "$subnet" | awk '{ print $4, "dev", $2 }'
    } | awk -v name="$name" '
        / dev / { for (i = 1; i < NF; i++) if ($i == "dev" && $(i + 1) == name) next }
        { for (i = 1; i <= NF; i++) if ($i == "default") next }
        { $1 = $1; print }'
}

# The first of a few private subnets that is free, for the advice in refuse_overlap.
free_subnet() {
    local name=$1 family=$2 subnet candidates
    if [[ $family == -4 ]]; then
        candidates=(10.204.0.1/24 172.29.203.1/24 192.168.203.1/24)
    else
        candidates=(fd74:756e:7375::1/64 fd74:756e:7376::1/64)
    fi
    for subnet in "${candidates[@]}"; do
        if [[ -z $(overlaps "$name" "$family" "$subnet") ]]; then
            say "$subnet"
            return
        fi
    done
    say "A-FREE-SUBNET"
}

# Ends the script when one of the two subnets is taken, and says which two are not.
refuse_overlap() {
    local name=$1 ipv4=$2 ipv6=$3 clash4 clash6=
    clash4=$(overlaps "$name" -4 "$ipv4" | sed -n 1p)
    if has_ipv6 default; then
        clash6=$(overlaps "$name" -6 "$ipv6" | sed -n 1p)
    fi
    [[ -n $clash4$clash6 ]] || return 0
    local taken=$ipv4 clash=$clash4
    [[ -n $clash4 ]] || { taken=$ipv6 clash=$clash6; }
    [[ -z $clash4 ]] || ipv4=$(free_subnet "$name" -4)
    [[ -z $clash6 ]] || ipv6=$(free_subnet "$name" -6)
    die "$taken overlaps what this machine already has ($clash):" \
        "choose another subnet, for instance ./setup.sh up $name $ipv4 $ipv6"
}

# Ends the script when the text is no address with a prefix length, as ip understands it.
refuse_bad_subnet() {
    local family=$1 subnet=$2 example=$3
    if [[ $subnet != */* ]] || ! ip "-$family" route show to exact "$subnet" >/dev/null 2>&1; then
        die "$subnet is no IPv$family address with a prefix length such as $example"
    fi
}

has_ipv6() { [[ $(cat "/proc/sys/net/ipv6/conf/$1/disable_ipv6" 2>/dev/null || echo 1) == 0 ]]; }

# Gives the interface one address, unless it has it, in place of any other of that family.
set_address() {
    local name=$1 family=$2 address=$3 options=()
    # nodad: nobody else is on this link, and an address that waits to be confirmed cannot be used.
    [[ $family == -6 ]] && options=(nodad)
    [[ $(ip "$family" -o address show dev "$name" scope global) != *" $address "* ]] || return 0
    as_root ip "$family" address flush dev "$name" scope global &&
        as_root ip "$family" address add "$address" dev "$name" "${options[@]}"
}

configure() {
    local name=$1 ipv4=$2 ipv6=$3
    as_root ip link set dev "$name" alias "$MARK" &&
        set_address "$name" -4 "$ipv4" || return 1
    if has_ipv6 "$name"; then
        set_address "$name" -6 "$ipv6" || return 1
    else
        say "IPv6 is disabled on this machine: $name has IPv4 only"
    fi
    as_root ip link set dev "$name" txqueuelen "$QUEUE_LENGTH" up
}

up() {
    local name=${1:-$DEFAULT_NAME} ipv4=${2:-$DEFAULT_IPV4} ipv6=${3:-$DEFAULT_IPV6} user
    need ip:iproute2
    refuse_bad_subnet 4 "$ipv4" "$DEFAULT_IPV4"
    if has_ipv6 default; then
        refuse_bad_subnet 6 "$ipv6" "$DEFAULT_IPV6"
    fi
    user=$(invoker)
    if exists "$name"; then
        is_tun "$name" ||
            die "$name exists and is not a TUN interface: choose another name, for instance ./setup.sh up tunstack0"
        is_ours "$name" ||
            die "$name exists and was not made by this script: choose another name, for instance ./setup.sh up tunstack0"
        [[ $(owner_of "$name") == "$user" ]] ||
            die "$name was made for the user $(owner_of "$name"), not for $user: ./setup.sh down $name removes it"
    fi
    refuse_overlap "$name" "$ipv4" "$ipv6"
    if exists "$name"; then
        configure "$name" "$ipv4" "$ipv6" || die "$name could not be configured"
    else
        [[ -c /dev/net/tun ]] || die "/dev/net/tun is missing: load the driver with: modprobe tun"
        as_root ip tuntap add dev "$name" mode tun user "$user" || die "$name could not be made"
        if ! configure "$name" "$ipv4" "$ipv6"; then
            as_root ip link delete dev "$name"
            die "$name could not be configured, and is removed again"
        fi
    fi
    say "$name is up: $(host_addresses "$name" | paste -sd' ')"
}

down() {
    local name=${1:-$DEFAULT_NAME}
    need ip:iproute2
    if ! exists "$name"; then
        say "$name is not there"
        return
    fi
    is_ours "$name" || die "$name was not made by this script: it stays"
    as_root ip link delete dev "$name"
    say "$name is removed"
}

# The host's addresses on the interface, IPv4 first, each with its prefix length.
host_addresses() {
    ip -4 -o address show dev "$1" scope global | awk '{ print $4 }'
    ip -6 -o address show dev "$1" scope global | awk '{ print $4 }'
}

# The stack's address beside a host's: the next one, or the one before where there is none.
stack_address() {
    local host=${1%/*} last
    if [[ $host == *:* ]]; then
        last=$((16#0${host##*:}))
        printf '%s:%x\n' "${host%:*}" "$((last < 65535 ? last + 1 : last - 1))"
    else
        last=${host##*.}
        say "${host%.*}.$((last < 254 ? last + 1 : last - 1))"
    fi
}

# ---------------------------------------------------------------------------------------------
# Running the stack

# The value of option $1 among the other arguments, as `--option value` or `--option=value`.
option_value() {
    local option=$1
    shift
    while [[ $# -gt 0 ]]; do
        case $1 in
        "$option") say "${2:-}" && return ;;
        "$option="*) say "${1#*=}" && return ;;
        esac
        shift
    done
}

# Sets SERVE_ARGS to the program's arguments: those given, and the stack's addresses on the
# interface when none are.
serve_arguments() {
    local name=$1 host
    shift
    SERVE_ARGS=(serve "$@")
    [[ -n $(option_value --tun "$@") ]] || SERVE_ARGS+=(--tun "$name")
    if [[ -z $(option_value --address "$@") ]]; then
        for host in $(host_addresses "$name"); do
            SERVE_ARGS+=(--address "$(stack_address "$host")")
        done
    fi
}

# What a person would type next.
say_next() {
    local address
    address=$(option_value --address "$@")
    say "  curl http://$(bracketed "$address")/"
    say "  nc $address 7"
    say "  ping $address"
}

bracketed() { if [[ $1 == *:* ]]; then say "[$1]"; else say "$1"; fi; }

refuse_closed_device() {
    [[ -c /dev/net/tun ]] || die "/dev/net/tun is missing: load the driver with: modprobe tun"
    "${AS_INVOKER[@]}" bash -c ': <>/dev/net/tun' 2>/dev/null ||
        die "$(invoker) may not open /dev/net/tun: allow it with: sudo chmod 0666 /dev/net/tun"
}

serve() {
    local name
    name=$(option_value --tun "$@")
    name=${name:-$DEFAULT_NAME}
    need ip:iproute2
    refuse_closed_device
    # An interface of another's making, or one that was made with other addresses, is used as it is.
    if ! exists "$name"; then
        up "$name"
    fi
    build_program
    serve_arguments "$name" "$@"
    say "Next, in another terminal:"
    say_next "${SERVE_ARGS[@]}"
    say "Control-C ends the program; $name stays, and ./setup.sh down $name removes it."
    exec "${AS_INVOKER[@]}" "$PROGRAM" "${SERVE_ARGS[@]}"
}

shell() {
    local isolate=(unshare --net)
    [[ $EUID -eq 0 ]] || isolate=(unshare --user --map-root-user --net)
    need ip:iproute2
    refuse_closed_device
    "${isolate[@]}" true 2>/dev/null ||
        die "$(invoker) may not make a user namespace: allow it (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0), or run ./setup.sh serve as root"
    build_program
    exec "${isolate[@]}" bash "$ROOT/setup.sh" inside-shell "$PROGRAM" "$@"
}

# The second half of `shell`, inside the private network.
inside_shell() {
    local program=$1 stack line status=0
    shift
    # Inside, one is root whoever called.
    unset SUDO_USER
    ip link set dev lo up
    up "$DEFAULT_NAME" >&2
    serve_arguments "$DEFAULT_NAME"
    # The stack goes when this shell goes, however that ends.
    exec {ready}< <(exec setpriv --pdeathsig TERM -- "$program" "${SERVE_ARGS[@]}")
    stack=$!
    line=
    read -r -t 60 line <&"$ready" || true
    [[ $line == ready* ]] || die "the stack did not start"
    if [[ $# -eq 0 ]]; then
        say "The stack runs in this private network. Try:"
        say_next "${SERVE_ARGS[@]}"
        say "exit ends both."
    fi
    bash "$@" || status=$?
    kill -TERM "$stack" 2>/dev/null || true
    wait "$stack" 2>/dev/null || true
    exit "$status"
}

# ---------------------------------------------------------------------------------------------
# Tests

# Rows of the table: name, passed, failed, skipped, seconds, separated by tabs.
ROWS=()

add_row() {
    local IFS=$'\t'
    ROWS+=("$*")
}

# Microseconds since the epoch.
microseconds() { say "${EPOCHREALTIME/[.,]/}"; }

seconds_since() { awk -v from="$1" -v to="$(microseconds)" 'BEGIN { printf "%.1f", (to - from) / 1e6 }'; }

# run_logged LOG COMMAND...: runs it, shows what it says, keeps a copy.
run_logged() {
    local log=$1
    shift
    say "== $*"
    "$@" </dev/null 2>&1 | tee "$log"
}

# check NAME COMMAND...: a row that passes or fails as a whole.
check() {
    local name=$1 start
    shift
    start=$(microseconds)
    if run_logged "$LOGS/check" "$@"; then
        add_row "$name" 1 0 0 "$(seconds_since "$start")"
    else
        add_row "$name" 0 1 0 "$(seconds_since "$start")"
    fi
}

# Reads what `cargo test` said: a row for each suite. One that died before its result has failed.
suite_rows() {
    awk -v label="$1" '
        function finish() {
            if (name == "") return
            if (results == 0) failed = 1
            printf "%s (%s)\t%d\t%d\t%d\t%.1f\n", name, label, passed, failed, skipped, seconds
        }
        function begin(title) {
            finish()
            name = title
            results = passed = failed = skipped = seconds = 0
        }
        /^ +Running / { sub(/^ +Running (unittests )?/, ""); sub(/ \(.*/, ""); begin($0) }
        /^ +Doc-tests / { begin("examples in the documentation") }
        /^test result: / {
            results++
            for (i = 1; i < NF; i++) {
                if ($(i + 1) == "passed;") passed += $i
                if ($(i + 1) == "failed;") failed += $i
                if ($(i + 1) == "ignored;") skipped += $i
                if ($i == "in") seconds += $(i + 1)
            }
        }
        END { finish() }' "$2"
}

# build LABEL ARGS...: compiles the tests; a row of its own, which counts only when it fails.
build() {
    local label=$1 start
    shift
    start=$(microseconds)
    if run_logged "$LOGS/build" cargo test --no-run "$@"; then
        add_row "compiling ($label)" 0 0 0 "$(seconds_since "$start")"
    else
        add_row "compiling ($label)" 0 1 0 "$(seconds_since "$start")"
        return 1
    fi
}

# suites LABEL ARGS...: cargo test with ARGS, a row for each of its suites.
suites() {
    local label=$1 status=0 start row rows failures=0
    shift
    start=$(microseconds)
    run_logged "$LOGS/tests" cargo test --no-fail-fast "$@" || status=$?
    mapfile -t rows < <(suite_rows "$label" "$LOGS/tests")
    for row in "${rows[@]}"; do
        ROWS+=("$row")
        failures=$((failures + $(cut -f3 <<<"$row")))
    done
    # A failure that no suite owns up to.
    if [[ $status -ne 0 && $failures -eq 0 ]]; then
        add_row "cargo test ($label)" 0 1 0 "$(seconds_since "$start")"
    fi
}

# The test files of a kind, `real` or `simulated`, as arguments for cargo.
test_targets() {
    local kind file
    for file in "$ROOT"/tests/*.rs; do
        file=$(basename "$file" .rs)
        kind=simulated
        [[ $file == real_* || $file == differential ]] && kind=real
        if [[ $kind == "$1" ]]; then
            printf '%s\n' --test "$file"
        fi
    done
}

# The tests with real programs need network namespaces and /dev/net/tun. Where the invoking user may
# have neither, the test programs (not their compilation) run through sudo.
real_suites() {
    local targets skipped start
    mapfile -t targets < <(test_targets real)
    build real --release "${targets[@]}" || return 0
    if [[ ${TUNSTACK_SKIP_REAL:-} == 1 ]]; then
        start=$(microseconds)
        skipped=$(cargo test --release "${targets[@]}" -- --list | grep -c ': test$')
        say "TUNSTACK_SKIP_REAL=1: $skipped tests with real programs are SKIPPED"
        add_row "real programs" 0 0 "$skipped" "$(seconds_since "$start")"
        return
    fi
    if [[ $EUID -ne 0 ]] && command -v sudo >/dev/null &&
        ! unshare --user --map-root-user --net bash -c ': <>/dev/net/tun' 2>/dev/null; then
        local host
        host=$(rustc -vV | sed -n 's/^host: //p')
        host=${host//-/_}
        export "CARGO_TARGET_${host^^}_RUNNER=sudo --preserve-env"
    fi
    # More at a time than there are cores: the longest of them wait out an outage.
    RUST_TEST_THREADS=4 suites real --release "${targets[@]}"
    # Those that pass traffic, once more over the device that takes packets as a wire would.
    mapfile -t targets < <(printf '%s\n' "${targets[@]}" |
        grep -E '^real_(diagnostics|http|load|loss|nc|operations|router)$' | sed 's/^/--test\n/')
    RUST_TEST_THREADS=4 TUNSTACK_TEST_OFFLOAD=off suites "real, --offload off" \
        --release "${targets[@]}"
    if [[ -n ${PACKETDRILL:-} ]]; then
        packetdrill_suite
    fi
}

# The scripts that packetdrill judges by, where PACKETDRILL says that it is there: our own, and with
# PACKETDRILL_SCRIPTS Google's. What came of them is printed.
packetdrill_suite() {
    [[ -x $PACKETDRILL ]] || die "PACKETDRILL=$PACKETDRILL is no program: build packetdrill first"
    local only=(our_own_scripts_pass)
    [[ -z ${PACKETDRILL_SCRIPTS:-} ]] || only=()
    check "the object that packetdrill loads (release)" cargo build --locked --release \
        --features packetdrill --example tunstack_packetdrill
    suites packetdrill --release --test real_packetdrill -- --ignored --nocapture "${only[@]}"
    grep -o 'packetdrill: .*' "$LOGS/tests" || true
}

print_table() {
    say
    printf '%s\n' "${ROWS[@]}" | awk -F '\t' '
        BEGIN { printf "%-46s %7s %7s %7s %9s\n", "suite", "passed", "failed", "skipped", "seconds" }
        {
            printf "%-46s %7d %7d %7d %9.1f\n", $1, $2, $3, $4, $5
            passed += $2; failed += $3; skipped += $4
        }
        END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }'
}

run_tests() {
    # Everything but the namespaces runs as the user who called; that user asks sudo for the rest.
    if [[ ${#AS_INVOKER[@]} -gt 0 ]]; then
        exec "${AS_INVOKER[@]}" env -u SUDO_USER bash "$ROOT/setup.sh" test
    fi
    need ip:iproute2 nc:netcat-openbsd curl:curl wrk:wrk nft:nftables ping:iputils-ping nmap:nmap \
        ethtool:ethtool unshare:util-linux
    need_rust
    cargo fmt --version >/dev/null || die "rustfmt is missing: rustup component add rustfmt"
    cargo clippy --version >/dev/null || die "clippy is missing: rustup component add clippy"
    cd "$ROOT"
    fetch_crates
    export CARGO_TERM_COLOR=never
    LOGS=$(mktemp -d)
    trap 'rm -rf "$LOGS"' EXIT

    local targets
    mapfile -t targets < <(test_targets simulated)
    check "format" cargo fmt --check
    check "clippy" cargo clippy --locked --all-targets --all-features -- -D warnings
    check "clippy, library alone" cargo clippy --locked --no-default-features --lib -- -D warnings
    check "documentation" env RUSTDOCFLAGS="-D warnings" \
        cargo doc --locked --no-deps --document-private-items --all-features
    check "the object that packetdrill loads" cargo build --locked --all-features --examples
    if build debug --all-features --lib --bins "${targets[@]}"; then
        suites debug --all-features --lib --bins "${targets[@]}"
        suites debug --all-features --doc
    fi
    if build release --release --test swarm --test netsim; then
        suites release --release --test swarm --test netsim
    fi
    real_suites
    print_table
}

bench() {
    need_rust
    cd "$ROOT"
    exec "${AS_INVOKER[@]}" cargo bench "$@"
}

command=${1:-help}
[[ $# -eq 0 ]] || shift
case $command in
up | down | serve | shell | bench) "$command" "$@" ;;
test) run_tests ;;
inside-shell) inside_shell "$@" ;;
help | -h | --help) usage ;;
*)
    usage >&2
    die "there is no command $command"
    ;;
esac
