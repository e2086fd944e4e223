"""contained.py DROVER UNIT FOLDER: runs drover with what the unit grants it, by runc, and plays systemd on the notify socket.

What a unit grants is read from the unit: the filter of system calls (its groups as systemd-analyze expands them), whether memory may be
writable and executable is left out, since runc has no such switch. The root is read-only, the user is none of this machine's, there are no capabilities,
and nothing but the state folder can be written to. As under systemd it is not process 1, which signals do not end.
"""
import json, os, re, signal, socket, subprocess, sys, time

drover, unit, work = map(os.path.abspath, sys.argv[1:])
user, patience = 64023, 120  # in the range of DynamicUser; seconds


def settings():
    keys = {}
    for line in open(unit):
        if m := re.match(r"([A-Za-z]+)=(.*)", line.strip()):
            keys.setdefault(m[1], []).append(m[2])
    return keys


def calls(group):
    """The system calls of a group, and of the groups in it."""
    if not group.startswith("@"):
        return {group}
    out = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", group], capture_output=True, text=True, check=True).stdout
    found = set()
    for line in out.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            found |= calls(word)
    return found


def allowed(filters):
    """What SystemCallFilter lets through: the first line says which are listed, those with ~ take away."""
    names = set()
    for text in filters:
        groups = text.lstrip("~").split()
        some = set().union(*(calls(g) for g in groups))
        names = names - some if text.startswith("~") else names | some
    return sorted(names | calls("@default"))


def spec(env, command):
    keys = settings()
    os.makedirs(f"{work}/bundle", exist_ok=True)
    path = f"{work}/bundle/config.json"
    if os.path.exists(path):
        os.remove(path)
    subprocess.run(["runc", "spec"], cwd=f"{work}/bundle", check=True)
    s = json.load(open(path))
    s["root"] = {"path": f"{work}/root", "readonly": True}
    s["process"].update(user={"uid": user, "gid": user}, terminal=False, cwd="/var/lib/drover", noNewPrivileges=True, capabilities={}, args=command, env=env)
    s["mounts"] = [m for m in s["mounts"] if m["destination"] in ("/proc", "/dev")] + [
        {"destination": to, "type": "bind", "source": src, "options": ["bind", how, "nosuid", "nodev"]}
        for to, src, how in [
            ("/var/lib/drover", f"{work}/state", "rw"), ("/run/credentials/drover.service", f"{work}/credentials", "ro"), ("/run/systemd", f"{work}/notify", "ro"),
        ]
    ]
    s["process"]["rlimits"] = [{"type": "RLIMIT_CORE", "soft": n, "hard": n} for n in [int(keys["LimitCORE"][-1])]]
    s["linux"]["namespaces"] = [n for n in s["linux"]["namespaces"] if n["type"] not in ("network", "cgroup", "pid")]
    s["linux"].pop("resources", None)
    s["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64" if os.uname().machine == "x86_64" else "SCMP_ARCH_AARCH64"],
        "syscalls": [{"names": allowed(keys["SystemCallFilter"]), "action": "SCMP_ACT_ALLOW"}],
    }
    json.dump(s, open(path, "w"))


def until(what, ok):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if got := ok():
            return got
        time.sleep(0.05)
    sys.exit(f"contained.py: not within {patience} s: {what}")


def fetch(url):
    got = subprocess.run(["curl", "-fsS", "--max-time", "3", url], capture_output=True, text=True)
    return got.stdout if got.returncode == 0 else None


def main():
    for name, mode in [("root", 0o755), ("state", 0o700), ("credentials", 0o500), ("notify", 0o755), ("root/usr/local/bin", 0o755), ("root/proc", 0o755), ("root/dev", 0o755),
                       ("root/var/lib/drover", 0o755), ("root/run/credentials/drover.service", 0o755), ("root/run/systemd", 0o755)]:
        os.makedirs(f"{work}/{name}", mode=mode, exist_ok=True)
    subprocess.run(["cp", drover, f"{work}/root/usr/local/bin/drover"], check=True)
    open(f"{work}/credentials/DISCORD_TOKEN", "w").write("contained-token-0123456789\n")
    for name in ("state", "credentials", "credentials/DISCORD_TOKEN"):
        os.chown(f"{work}/{name}", user, user)
    os.chmod(f"{work}/credentials/DISCORD_TOKEN", 0o400)
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(f"{work}/notify/notify")
    os.chmod(f"{work}/notify/notify", 0o777)
    heard.settimeout(1)

    def hear(want):
        end = time.monotonic() + patience
        while time.monotonic() < end and (want == "STOPPING=1" or node.poll() is None):
            try:
                if want in heard.recv(4096).decode().splitlines():
                    return
            except TimeoutError:
                pass
        sys.exit(f"contained.py: systemd did not hear {want}")

    first = 22000 + os.getpid() % 1900  # each check has a range of its own: deploy/check/scripts_test.go
    sim = subprocess.Popen([drover, "simulate", "--plain", "--listen", f"127.0.0.1:{first}", "--resume-listen", f"127.0.0.1:{first + 1}", "--shards", "2", "--rate", "200",
                            "--token", "contained-token-0123456789"], stdout=subprocess.DEVNULL)
    node = None
    try:
        until("the simulator", lambda: fetch(f"http://127.0.0.1:{first}/control/state"))
        http = f"127.0.0.1:{first + 2}"
        env = [e.replace("%S", "/var/lib") for e in settings()["Environment"]] + [
            "NOTIFY_SOCKET=/run/systemd/notify", "WATCHDOG_USEC=2000000", "CREDENTIALS_DIRECTORY=/run/credentials/drover.service", "HOME=/", "PATH=/usr/local/bin",
            f"DROVER_DISCORD_API_URL=http://127.0.0.1:{first}/api/v10", f"DROVER_HTTP_ADDR={http}", f"DROVER_NATS_EMBEDDED_LISTEN=127.0.0.1:{first + 3}",
        ]
        spec(env, settings()["ExecStart"][0].split())

        def start():
            log = open(f"{work}/drover.log", "ab")
            return subprocess.Popen(["runc", "--root", f"{work}/runc", "run", "-b", f"{work}/bundle", "drover"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def main_pid():
            return json.loads(subprocess.run(["runc", "--root", f"{work}/runc", "state", "drover"], capture_output=True, check=True).stdout)["pid"]

        node = start()
        hear("READY=1")
        hear("WATCHDOG=1")
        until("ready", lambda: fetch(f"http://{http}/ready"))
        until("1000 events in the embedded server", lambda: sum(
            float(l.rsplit(" ", 1)[1]) for l in (fetch(f"http://{http}/metrics") or "").splitlines() if l.startswith("gateway_events_routed_total{")) >= 1000)
        pid = main_pid()
        status = open(f"/proc/{pid}/status").read()
        for want in (f"Uid:\t{user}\t", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
            if want not in status:
                sys.exit(f"contained.py: not as the unit says: {want!r}")
        if b"contained-token" in open(f"/proc/{pid}/environ", "rb").read():
            sys.exit("contained.py: the token stands in the environment")
        os.kill(pid, signal.SIGHUP)
        hear("RELOADING=1")
        hear("READY=1")
        os.kill(pid, signal.SIGTERM)
        hear("STOPPING=1")
        if code := node.wait(patience):
            sys.exit(f"contained.py: exit code {code} after SIGTERM, want 0")
        text = open(f"{work}/drover.log").read()
        if '"unacked":0' not in text or "contained-token" in text:
            sys.exit("contained.py: not everything is acknowledged, or the token stands in the log")
        # What the watchdog does. Exit code 2 would be Go's way, and the unit has systemd leave a node with that alone.
        node = start()
        hear("READY=1")
        until("ready again", lambda: fetch(f"http://{http}/ready"))
        os.kill(main_pid(), signal.SIGABRT)
        if (code := node.wait(patience)) != 128 + signal.SIGABRT:
            sys.exit(f"contained.py: exit code {code} after SIGABRT, want runc's word for an end by that signal, {128 + signal.SIGABRT}")
        text = open(f"{work}/drover.log").read()
        if "\ngoroutine 1 " not in text or "contained-token" in text:
            sys.exit("contained.py: the stacks of goroutines are not in the log, or the token is")
        if cores := [name for _, _, names in os.walk(f"{work}/state") for name in names if name.startswith("core")]:
            sys.exit(f"contained.py: SIGABRT has left {cores}, with the token inside")
        print(f"runs as user {user} under {len(allowed(settings()['SystemCallFilter']))} allowed system calls, ready, 1000 events stored by the embedded server; "
              "READY, WATCHDOG, RELOADING and STOPPING heard; exit code 0, 0 events unacknowledged; SIGABRT ends it by that signal, without a core; the token is in no "
              "environment and in no log")
    finally:
        if node and node.poll() is None:
            subprocess.run(["runc", "--root", f"{work}/runc", "delete", "-f", "drover"], capture_output=True)
        if os.path.exists(f"{work}/drover.log") and sys.exc_info()[0]:
            sys.stderr.write(open(f"{work}/drover.log").read()[-3000:])
        sim.terminate()
        sim.wait()


main()
