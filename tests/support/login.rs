//! What a session needs for logins: a configuration in which it finds spawn, lookup and checkauth, one user with the password
//! secret, and a resident lookup.

use penny_testkit::run::Started;
use penny_testkit::{Run, TempDir, program, programs, wait_for_socket};
use std::os::unix::fs::MetadataExt;

/// Writes `p.toml` and the users table of a directory whose `home` is the user's, and starts lookup on it. `fields` are further
/// ones of the user's passwd-file line.
pub fn start_lookup(dir: &TempDir, login: &str, fields: &str) -> Started {
    let meta = std::fs::metadata(dir.path()).unwrap();
    let root = meta.uid() == 0;
    let (uid, gid) = if root { (54_321, 54_321) } else { (meta.uid(), meta.gid()) };
    let libexec = programs!().display().to_string();
    let d = dir.path().display();
    let ids = ["tls", "lookup", "queue", "net", "mail", "out", "filter", "sign", "auth"];
    let ids: String = ids.iter().enumerate().map(|(i, n)| format!("{n} = \"{0}:{0}\"\n", 54_001 + i)).collect();
    let paths = format!(
        "[paths]\nlibexec = \"{libexec}\"\nrun = \"{d}/run\"\nstate = \"{d}/state\"\ntables = \"{d}/tables\"\n"
    );
    dir.write("p.toml", format!("hostname = \"example.test\"\n[ids]\nlandlock = \"optional\"\n{ids}{paths}"));
    dir.write("tables/users", format!("{login}:{{PLAIN}}secret:{uid}:{gid}::{d}/home:/bin/sh{fields}\n"));
    for sub in ["run", "state"] {
        std::fs::create_dir_all(dir.join(sub)).unwrap();
    }
    if root {
        Run::new("chmod").args(["-R", "a+rX"]).arg(dir.path()).run().expect_code(0);
        let owned = [dir.join("state"), dir.join("run")];
        Run::new("chown").args(["-R", "54002:54002"]).args(owned).run().expect_code(0);
        Run::new("chown").args(["-R", "54321:54321"]).arg(dir.join("home")).run().expect_code(0);
    }
    let lookup = Run::new(program!("lookup")).arg("--serve").arg("-c").arg(dir.join("p.toml"));
    let lookup = if root { lookup.uid(54_002, 54_002) } else { lookup }.spawn();
    wait_for_socket(dir.join("run/lookup/socket"));
    lookup
}
