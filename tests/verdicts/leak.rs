// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
// A vector of vectors that only grows: 400 KB a second.
fn main() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        for _ in 0..4 {
            kept.push(vec![1; 2000]);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
