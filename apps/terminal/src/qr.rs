//! A QR code (ISO/IEC 18004) for a terminal: two modules to a character, in half blocks.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// The rows of a text's code; `None` where it does not fit into the columns.
///
/// Light modules are drawn as full blocks, so that the code is right on a dark terminal, and its
/// negative, which cameras read as well, on a light one.
pub(crate) fn rows(text: &str, columns: usize) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let drawn = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    let rows: Vec<String> = drawn.lines().map(str::to_owned).collect();
    let width = rows.iter().map(|row| row.chars().count()).max()?;
    (width <= columns).then_some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_a_link_fits_half_a_terminal_with_its_quiet_zone() {
        let rows = rows("tidings-link:abcdefgh", 40).expect("it fits");
        // Version 2 has 25 modules, and 4 are kept free on each side.
        assert_eq!(rows[0].chars().count(), 33);
        assert_eq!(rows.len(), 17);
        assert!(rows[0].chars().all(|character| character == '█'), "the quiet zone is light");
    }

    #[test]
    fn code_that_does_not_fit_is_left_out() {
        assert_eq!(rows("tidings-link:abcdefgh", 32), None);
    }
}
