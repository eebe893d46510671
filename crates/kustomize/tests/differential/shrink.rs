//! Makes a tree that shows a difference small: lines and files are taken away for as long as the difference stays.

use super::case::Files;

pub(crate) fn shrink(files: &Files, differs: &mut dyn FnMut(&Files) -> bool) -> Files {
    let mut small = files.clone();
    loop {
        let before = small.values().map(String::len).sum::<usize>() + small.len();
        for path in files.keys() {
            let mut without = small.clone();
            if without.remove(path).is_some() && differs(&without) {
                small = without;
            }
        }
        for path in small.keys().cloned().collect::<Vec<_>>() {
            shrink_lines(&mut small, &path, differs);
        }
        if small.values().map(String::len).sum::<usize>() + small.len() == before {
            return small;
        }
    }
}

fn shrink_lines(small: &mut Files, path: &str, differs: &mut dyn FnMut(&Files) -> bool) {
    for width in [24, 12, 6, 4, 3, 2, 1] {
        let mut start = 0;
        loop {
            let lines: Vec<&str> = small[path].split_inclusive('\n').collect();
            if start >= lines.len() {
                break;
            }
            // What has no version or kind would differ for another reason.
            let gone = lines[start..].iter().take(width);
            if gone.into_iter().any(|line| line.contains("apiVersion:")) {
                start += 1;
                continue;
            }
            let kept: String =
                lines[..start].iter().chain(lines.iter().skip(start + width)).copied().collect();
            let mut without = small.clone();
            without.insert(path.to_owned(), kept);
            if differs(&without) {
                *small = without;
            } else {
                start += 1;
            }
        }
    }
}
