//! tlsd: not built yet.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(111)
}
