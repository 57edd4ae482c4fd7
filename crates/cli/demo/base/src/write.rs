//! Makes the log up.

/// A small generator of numbers (xorshift64), good enough for a demonstration.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed | 1)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

const PATHS: [&str; 12] = [
    "/", "/login", "/logout", "/search", "/cart", "/cart/add", "/checkout", "/api/v1/items",
    "/api/v1/items/recent", "/api/v1/users", "/static/site.css", "/static/site.js",
];

const METHODS: [&str; 4] = ["GET", "GET", "GET", "POST"];

/// A day of log with `lines` lines; a few of them are damaged, as in real life.
pub fn day(lines: usize, seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let mut text = String::new();
    let mut clock = 0;
    for _ in 0..lines {
        clock += dice.roll(3);
        line(&mut text, &mut dice, clock);
    }
    text
}

fn line(text: &mut String, dice: &mut Dice, clock: u64) {
    let method = METHODS[dice.roll(4) as usize];
    let path = PATHS[(dice.roll(12) * dice.roll(12) / 12) as usize];
    number(text, clock);
    text.push(' ');
    for part in 0..4 {
        if part > 0 {
            text.push('.');
        }
        number(text, 10 + dice.roll(6) * (part + 1));
    }
    text.push(' ');
    text.push_str(method);
    text.push(' ');
    text.push_str(path);
    text.push(' ');
    number(text, if dice.roll(50) == 0 { 500 } else { 200 });
    text.push(' ');
    if dice.roll(400) == 0 {
        text.push('?');
    } else {
        number(text, 80 + dice.roll(900) * dice.roll(12));
    }
    text.push('\n');
}

/// Appends a number in decimal.
fn number(text: &mut String, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut length = 0;
    loop {
        digits[length] = b'0' + (value % 10) as u8;
        value /= 10;
        length += 1;
        if value == 0 {
            break;
        }
    }
    for digit in digits[..length].iter().rev() {
        text.push(*digit as char);
    }
}
