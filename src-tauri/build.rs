fn main() {
    // Naming our commands here makes each of them a permission: a page may call only what
    // capabilities/window.json lists.
    let commands = tauri_build::AppManifest::new().commands(&[
        "call",
        "subscribe",
        "unsubscribe",
        "save_file",
        "painted",
    ]);
    let attributes = tauri_build::Attributes::new().app_manifest(commands);
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo:error={error:#}");
        std::process::exit(1);
    }
}
