//! What a person does on every page.

use anyhow::Result;
use plimsoll_tests::{page::Page, wait};

/// At the first start Plimsoll says what it found; one button leads on.
pub async fn past_the_welcome(page: &Page) -> Result<()> {
    // Only then it is known whether this is a first start.
    page.find("header .machine").await?;
    wait::until("the Overview", || async {
        if page.is_there("main .btn.primary").await? {
            page.click("main .btn.primary").await?;
        }
        Ok(page.is_there("a.meter").await?.then_some(()))
    })
    .await
}

/// Opens a page by its place in the rail.
pub async fn go(page: &Page, name: &str) -> Result<()> {
    page.click(&format!("nav a[aria-label='{name}']")).await?;
    page.find(&format!("main[aria-label='{name}']")).await?;
    page.find(&format!("nav a[aria-label='{name}'][aria-current=page]")).await.map(drop)
}

/// The window with its first live values on the Overview.
pub async fn settled(page: &Page) -> Result<()> {
    past_the_welcome(page).await?;
    page.text_when("a.meter [data-testid=instrument-value]", |text| {
        text.contains(|c: char| c.is_ascii_digit())
    })
    .await
    .map(drop)
}

/// The words of an instrument as they are read aloud, e.g. `RAM: 3.21 GiB. …`.
pub fn meter(title: &str) -> String {
    format!("a.meter[aria-label^='{title}:']")
}
