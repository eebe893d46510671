//! The `trueup` program.

// Memory that a rendering or a list needed goes back to the system; glibc keeps it, an arena a thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    trueup::cli::main()
}
