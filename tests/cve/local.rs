//! Class 29: rubbish on the local sockets. The services go on.

use crate::smtpfake::instance::Instance;
use crate::{ENVELOPE, play};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

#[test]
fn c29_rubbish_on_local_sockets() {
    let instance = Instance::usual("");
    let socket = |name: &str| instance.place.path("run").join(name).join("socket");
    let rubbish: Vec<Vec<u8>> = vec![
        vec![],
        vec![0; 1],
        b"\n".to_vec(),
        b"COMMIT\n".to_vec(),
        b"COMMIT - 99999999999999999999 1 1\n".to_vec(),
        b"COMMIT - 5 0 0\nabc".to_vec(),
        b"COMMIT ../x 1 1 1\nabc".to_vec(),
        b"user\n".to_vec(),
        b"user\t\t\t\t\n".to_vec(),
        b"rate\ta\t-1\tx\t9\n".to_vec(),
        vec![0xff; 70_000],
        b"run\0x".to_vec(),
        b"kill\0-1".to_vec(),
        vec![b'x'; 300_000],
        ["run", "1", "checkauth", "0:0", "root", "", "0", "0"].join("\0").into_bytes(),
        ["run", "1", "/bin/sh", "-", "", "", "0", "0"].join("\0").into_bytes(),
    ];
    for bytes in &rubbish {
        for name in ["lookup", "enqueue"] {
            let mut stream = UnixStream::connect(socket(name)).unwrap();
            let _ = stream.write_all(bytes);
        }
        let packets = penny_sys::net::connect_packets(&socket("spawn"));
        if let Ok(packets) = packets {
            let _ = penny_sys::fdpass::send(packets.as_fd(), bytes.get(..60_000).unwrap_or(bytes), &[]);
        }
    }
    let input = format!("{ENVELOPE}DATA\r\nA: b\r\n\r\nc\r\n.\r\nQUIT\r\n");
    assert_eq!(play(&instance, input.as_bytes()), "220 250 250 250 354 250 221");
    assert_eq!(instance.queued().len(), 1);
}
