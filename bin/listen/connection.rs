//! One connection: which of its processes runs, and what its next step is.

use crate::limits::Client;
use penny_base::config::{Listen, TlsMode};
use penny_base::warm::Kept;
use penny_base::{Config, ucspi};
use penny_sys::ids::Id;
use penny_sys::process::Program;
use penny_sys::{net, process};
use std::fs::File;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

/// Where a connection stands.
pub enum State {
    /// A child reads the PROXY header and tells the addresses on this pipe.
    Proxy(OwnedFd),
    /// A TLS child shakes hands and tells its variables on this descriptor; then the program starts on `data`.
    Handshake {
        /// Ours of the control pair.
        control: OwnedFd,
        /// The program's end of the data pair.
        data: OwnedFd,
    },
    /// The program runs and may ask for TLS on this descriptor.
    Offered {
        /// Ours of the control pair.
        control: OwnedFd,
        /// The TLS child's end of the data pair.
        data: OwnedFd,
    },
    /// Nothing more for us to do.
    Running,
}

/// One connection.
pub struct Connection {
    /// Index of the port it came in by.
    pub port: usize,
    /// Whom it counts for.
    pub client: Client,
    /// The other end.
    pub remote: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// The client's socket, while we may still need it.
    pub socket: Option<TcpStream>,
    /// Where it stands.
    pub state: State,
    /// Processes that belong to it.
    pub pids: Vec<i32>,
}

fn variables(c: &Connection) -> Vec<(String, String)> {
    let text = |a: SocketAddr| a.ip().to_canonical().to_string();
    [
        ("PROTO", "TCP".to_string()),
        ("TCPREMOTEIP", text(c.remote)),
        ("TCPREMOTEPORT", c.remote.port().to_string()),
        ("TCPLOCALIP", text(c.local)),
        ("TCPLOCALPORT", c.local.port().to_string()),
    ]
    .map(|(n, v)| (n.to_string(), v))
    .to_vec()
}

/// The programs that can wait for a connection and copy themselves.
const WARM: [&str; 4] = ["smtpd", "imapd", "pop3d", "sieved"];

/// How to start the entry's program.
pub struct Starter<'a> {
    pub config: &'a Config,
    pub entry: &'a Listen,
    /// The net id; `None` in the hands of an ordinary user.
    pub id: Option<Id>,
    /// Processes that wait for one.
    pub kept: &'a mut Kept,
}

impl Starter<'_> {
    fn start(&mut self, program: &Program<'_>) -> io::Result<i32> {
        if self.config.top.waiting && WARM.contains(&self.entry.program.as_str()) {
            self.kept.start(program)
        } else {
            program.start()
        }
    }

    fn program<'p>(&self, c: &Connection, more: &[(String, String)]) -> Program<'p> {
        let mut p = Program::new(self.config.program(&self.entry.program));
        p.args = vec![b"-c".to_vec(), self.config.file.to_string_lossy().into_owned().into_bytes()];
        p.args.extend(self.entry.args.iter().map(|a| a.clone().into_bytes()));
        let own = [
            ("PATH".to_string(), format!("{}:/usr/bin:/bin", self.config.paths.libexec.display())),
            ("PENNYPOST_CONFIG".to_string(), self.config.file.display().to_string()),
            ("PENNYPOST_SERVICE".to_string(), self.entry.name.clone()),
        ];
        for (name, value) in own.iter().chain(&variables(c)).chain(more) {
            p = p.env(name, value);
        }
        p.become_id = self.id.map(|i| (i, vec![i.gid]));
        p.own_group = true;
        p
    }

    /// Starts the program on the bare socket, with STARTTLS on offer where the entry says so.
    pub fn plain(&mut self, c: &mut Connection) -> io::Result<()> {
        let socket = c.socket.take().ok_or(io::ErrorKind::NotConnected)?;
        socket.set_nonblocking(false)?;
        let stderr = io::stderr();
        if self.entry.tls != TlsMode::StartTls {
            let mut p = self.program(c, &[]);
            p.descriptors = vec![socket.as_fd(), socket.as_fd(), stderr.as_fd()];
            c.pids.push(self.start(&p)?);
            c.state = State::Running;
            return Ok(());
        }
        let (control, program_control) = net::stream_pair()?;
        let (data, program_data) = net::stream_pair()?;
        let numbers = [("SSLCTLFD", "3"), ("SSLREADFD", "4"), ("SSLWRITEFD", "4")];
        let mut p = self.program(c, &numbers.map(|(n, v)| (n.to_string(), v.to_string())));
        let (program_control, program_data) = (program_control.as_fd(), program_data.as_fd());
        p.descriptors = vec![socket.as_fd(), socket.as_fd(), stderr.as_fd(), program_control, program_data];
        let pid = self.start(&p)?;
        drop(p);
        c.pids.push(pid);
        c.socket = Some(socket);
        c.state = State::Offered { control, data };
        Ok(())
    }

    /// Starts the program behind a TLS child that has shaken hands.
    pub fn behind_tls(&mut self, c: &mut Connection, control: OwnedFd, data: &OwnedFd) -> io::Result<()> {
        let told = ucspi::read_variables(&mut File::from(control))?;
        let told: Vec<(String, String)> = told.into_iter().collect();
        let stderr = io::stderr();
        let mut p = self.program(c, &told);
        p.descriptors = vec![data.as_fd(), data.as_fd(), stderr.as_fd()];
        let pid = self.start(&p)?;
        c.pids.push(pid);
        c.state = State::Running;
        Ok(())
    }
}

/// Forks the child that reads the PROXY header; it tells `remote local` on the pipe, `-` for a proxy's own connection.
pub fn read_proxy(c: &mut Connection, id: Option<Id>) -> io::Result<()> {
    let (read, write) = net::pipe()?;
    let socket = c.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
    let Some(pid) = process::fork_single()? else {
        process::reset_signals();
        std::process::exit(i32::from(proxy_child(socket, id, write).is_err()))
    };
    c.pids.push(pid);
    c.state = State::Proxy(read);
    Ok(())
}

fn proxy_child(socket: &TcpStream, id: Option<Id>, write: OwnedFd) -> io::Result<()> {
    if let Some(id) = id {
        penny_sys::ids::become_user(id, &[id.gid])?;
    }
    penny_sys::confine::network_conversation()?;
    let mut socket = socket.try_clone()?;
    let line = match crate::proxy::take(&mut socket)? {
        Some((remote, local)) => format!("{remote} {local}"),
        None => "-".to_string(),
    };
    io::Write::write_all(&mut File::from(write), line.as_bytes())
}

/// Takes what the PROXY child told. An empty answer means there was no header.
pub fn take_proxy(c: &mut Connection, pipe: OwnedFd) -> io::Result<()> {
    let mut line = String::new();
    File::from(pipe).take(200).read_to_string(&mut line)?;
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "no PROXY header");
    if line != "-" {
        let (remote, local) = line.split_once(' ').ok_or_else(wrong)?;
        c.remote = remote.parse().map_err(|_| wrong())?;
        c.local = local.parse().map_err(|_| wrong())?;
    }
    c.pids.clear();
    Ok(())
}
