//! Completions and the manual page, made from the arguments themselves.

use clap::CommandFactory;

use crate::{
    args::Cli,
    out::{Failure, Outcome},
};

pub fn completions(shell: clap_complete::Shell) -> Outcome {
    // Into memory first: the generator panics where a pipe is closed.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "plimsoll", &mut text);
    print(&text)
}

/// One page: the program, then each command with its own options.
pub fn man() -> Outcome {
    let mut text = Vec::new();
    let mut command = Cli::command();
    command.build();
    let page = clap_mangen::Man::new(command.clone()).date("");
    whole(&page, &command, &mut text).map_err(Failure::from)?;
    print(&text)
}

/// The page's own list of commands would name pages that there are not.
fn whole(
    page: &clap_mangen::Man,
    command: &clap::Command,
    text: &mut Vec<u8>,
) -> Result<(), std::io::Error> {
    page.render_title(text)?;
    page.render_name_section(text)?;
    page.render_synopsis_section(text)?;
    page.render_description_section(text)?;
    page.render_options_section(text)?;
    for sub in command.get_subcommands() {
        section(text, sub, "plimsoll")?;
    }
    page.render_extra_section(text)
}

fn section(text: &mut Vec<u8>, command: &clap::Command, path: &str) -> Result<(), std::io::Error> {
    let path = format!("{path} {}", command.get_name());
    text.extend_from_slice(format!(".SH {}\n", path.to_uppercase().replace('-', "\\-")).as_bytes());
    // What every command has is said once, at the top.
    let own = |arg: &clap::Arg| {
        !arg.is_global_set() && !matches!(arg.get_id().as_str(), "help" | "version")
    };
    let page = clap_mangen::Man::new(command.clone().mut_args(|arg| {
        let hidden = !own(&arg);
        arg.hide(hidden)
    }));
    if let Some(about) = command.get_long_about().or_else(|| command.get_about()) {
        text.extend_from_slice(format!("{about}.\n").as_bytes());
    }
    if command.get_arguments().any(own) {
        let mut options = Vec::new();
        page.render_options_section(&mut options)?;
        // Its own heading would end ours.
        let options = String::from_utf8_lossy(&options).replacen(".SH OPTIONS\n", ".PP\n", 1);
        text.extend_from_slice(options.as_bytes());
    }
    if let Some(examples) = command.get_after_help() {
        text.extend_from_slice(format!(".PP\n.nf\n{examples}\n.fi\n").as_bytes());
    }
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        section(text, sub, &path)?;
    }
    Ok(())
}

fn print(text: &[u8]) -> Outcome {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(())
}
