//! What bounds an execution, and what a host function may do while a template calls it.

use crate::error::{Error, ErrorKind, Failure};
use crate::exec;
use crate::templates::Templates;
use crate::value::Value;
use std::cell::Cell;

/// What an execution may use up, all templates that it calls included.
#[derive(Clone, Copy)]
pub struct Limits<'l> {
    /// Steps: nodes walked, commands evaluated, and what functions charge.
    pub fuel: u64,
    /// Templates within one another, included ones too. Of all levels together, those of control structures and
    /// parentheses among them, there may be ten times as many. The stack grows as they need it.
    pub depth: usize,
    /// Bytes written, those of texts that are put together on the way included.
    pub output: usize,
    /// Asked now and then; true ends the execution. This is where a caller keeps its clock.
    pub stop: Option<&'l dyn Fn() -> bool>,
}

impl Default for Limits<'_> {
    fn default() -> Self {
        Self { fuel: 100_000_000, depth: 1000, output: 256 << 20, stop: None }
    }
}

/// What is left of [`Limits`] over several executions.
pub struct Budget<'l>(pub(crate) Run<'l>);

impl<'l> Budget<'l> {
    /// All of it.
    pub fn new(limits: &Limits<'l>) -> Self {
        Self(Run::new(limits))
    }
}

/// The books of one execution, or of several that share a budget.
pub(crate) struct Run<'l> {
    stop: Option<&'l dyn Fn() -> bool>,
    fuel: Cell<u64>,
    until_asked: Cell<u64>,
    templates: Cell<usize>,
    levels: Cell<usize>,
    room: Cell<usize>,
}

/// How many levels of all sorts there may be for each template.
const LEVELS: usize = 10;

/// What a thread's stack must have left for one level, with all that functions do in it, and what is added where it has
/// less.
const LEAST_STACK: usize = 256 << 10;
const MORE_STACK: usize = 2 << 20;

/// The caller is asked whether to stop once in this many steps.
const ASK_EVERY: u64 = 1024;

impl<'l> Run<'l> {
    pub(crate) fn new(limits: &Limits<'l>) -> Self {
        Self {
            stop: limits.stop,
            fuel: Cell::new(limits.fuel),
            until_asked: Cell::new(0),
            templates: Cell::new(limits.depth),
            levels: Cell::new(limits.depth.saturating_mul(LEVELS)),
            room: Cell::new(limits.output),
        }
    }

    pub(crate) fn spend(&self, steps: u64) -> Result<(), Failure> {
        let Some(left) = self.fuel.get().checked_sub(steps) else {
            return Err(refused("the template takes more steps than allowed"));
        };
        self.fuel.set(left);
        let until_asked = self.until_asked.get();
        if until_asked >= steps {
            self.until_asked.set(until_asked - steps);
            return Ok(());
        }
        self.until_asked.set(ASK_EVERY);
        if self.stop.is_some_and(|stop| stop()) {
            return Err(refused("the execution was stopped"));
        }
        Ok(())
    }

    /// Counts bytes that are written.
    pub(crate) fn write(&self, bytes: usize) -> Result<(), Failure> {
        let Some(left) = self.room.get().checked_sub(bytes) else {
            return Err(refused("the output is larger than allowed"));
        };
        self.room.set(left);
        self.spend(bytes as u64 / 64)
    }

    pub(crate) fn room(&self) -> usize {
        self.room.get()
    }

    /// Refuses what there is no room for, or are no steps left for.
    pub(crate) fn affords(&self, bytes: usize, steps: u64) -> Result<(), Failure> {
        if bytes > self.room() {
            return Err(refused("the output is larger than allowed"));
        }
        if steps > self.fuel.get() {
            return Err(refused("the template takes more steps than allowed"));
        }
        Ok(())
    }

    /// What is done one level deeper.
    pub(crate) fn deeper<T>(&self, inside: impl FnOnce() -> T) -> Result<T, Failure> {
        one_less(&self.levels)?;
        let result = stacker::maybe_grow(LEAST_STACK, MORE_STACK, inside);
        self.levels.set(self.levels.get() + 1);
        Ok(result)
    }

    /// What is done within one more template.
    pub(crate) fn in_template<T>(&self, inside: impl FnOnce() -> T) -> Result<T, Failure> {
        one_less(&self.templates)?;
        let result = self.deeper(inside);
        self.templates.set(self.templates.get() + 1);
        result
    }
}

fn one_less(left: &Cell<usize>) -> Result<(), Failure> {
    let less = left.get().checked_sub(1);
    left.set(less.ok_or_else(|| refused("templates are nested deeper than allowed"))?);
    Ok(())
}

fn refused(why: &str) -> Failure {
    Failure { kind: ErrorKind::Limit, text: why.into() }
}

/// The execution that a host function is called in.
pub struct Context<'r> {
    templates: &'r Templates,
    run: &'r Run<'r>,
}

impl<'r> Context<'r> {
    pub(crate) fn new(templates: &'r Templates, run: &'r Run<'r>) -> Self {
        Self { templates, run }
    }

    /// The templates that are being executed. A copy of them can take in more, for [`execute_in`](Self::execute_in).
    pub fn templates(&self) -> &'r Templates {
        self.templates
    }

    /// Executes a named template, within what is left of the limits: Helm's `include`.
    pub fn execute(&mut self, name: &[u8], data: Value) -> Result<Vec<u8>, Error> {
        self.execute_in(self.templates, name, data)
    }

    /// Executes a template of others than those that are being executed: Helm's `tpl`.
    pub fn execute_in(&mut self, templates: &Templates, name: &[u8], data: Value) -> Result<Vec<u8>, Error> {
        exec::execute(templates, self.run, name, data)
    }

    /// Charges steps for work that a function does.
    pub fn spend(&mut self, steps: u64) -> Result<(), Failure> {
        self.run.spend(steps)
    }

    /// Charges bytes of a text that a function makes. To be called before a large one is made.
    pub fn write(&mut self, bytes: usize) -> Result<(), Failure> {
        self.run.write(bytes)
    }

    /// How many bytes can still be written.
    pub fn room(&self) -> usize {
        self.run.room()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::{Function, Functions};

    /// Executes `text` on a thread with the two megabytes that tests and most servers' threads have.
    fn refusal(text: &str, limits: &Limits<'_>) -> String {
        let include = Function::new("func(string, interface {}) string", |context, arguments| {
            Ok(context.execute(arguments.text(0)?, arguments.any(1).clone())?.into())
        });
        let mut functions = Functions::new();
        functions.insert("include", include.unwrap());
        let mut templates = Templates::new("all").with_functions(functions);
        if let Err(error) = templates.parse("main", text) {
            return error.to_string();
        }
        match templates.execute("main", Value::Nil, limits) {
            Ok(output) => format!("{} bytes", output.len()),
            Err(error) => format!("{:?} {error}", error.kind()),
        }
    }

    #[test]
    fn what_calls_itself_ends() {
        for (call, outermost) in [
            ("{{template `main`}}", ""),
            ("{{include `main` .}}", " (called at main:1:"),
            ("{{if (print (include `main` (print .)))}}{{end}}", " (called at main:1:"),
        ] {
            let refused = refusal(call, &Limits::default());
            assert!(
                refused.starts_with("Limit template: main")
                    && refused.contains(&format!("nested deeper than allowed{outermost}")),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_is_nested_without_end_is_refused() {
        let parentheses = format!("{{{{{}1{}}}}}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(refusal(&parentheses, &Limits::default()).ends_with("max expression depth exceeded"));
        let blocks = "{{if 1}}".repeat(10_000);
        assert!(refusal(&blocks, &Limits::default()).ends_with("max expression depth exceeded"));
        let fits = format!("{{{{{}1{}}}}}", "(".repeat(150), ")".repeat(150));
        assert_eq!(refusal(&fits, &Limits::default()), "1 bytes");
    }

    #[test]
    fn steps_and_output_are_bounded() {
        let limits = Limits { fuel: 10_000, output: 1000, ..Limits::default() };
        assert!(refusal("{{range 1000000000}}{{end}}", &limits).ends_with("more steps than allowed"));
        assert!(refusal("{{range 1000}}text{{end}}", &limits).ends_with("larger than allowed"));
        assert!(refusal("{{printf `%1000000d` 1}}", &limits).ends_with("larger than allowed"));
        assert!(
            refusal("{{printf `%.1000000d|%.1000000f` 1 1.5}}", &limits).ends_with("larger than allowed")
        );
    }

    #[test]
    fn what_grows_by_itself_is_bounded() {
        let doubled = "{{ $x := list 1 }}{{ $y := list 1 }}{{ range 64 }}{{ $x = list $x $x }}{{ $y = list $y $y }}{{ end }}";
        let limits = Limits { fuel: 100_000, output: 10_000, ..Limits::default() };
        for end in ["{{ $x }}", "{{ deepCopy $x | len }}", "{{ deepEqual $x $y }}", "{{ toJson $x }}"] {
            let mut templates = Templates::new("all").with_functions(crate::sprig::functions());
            templates.parse("main", format!("{doubled}{end}")).unwrap();
            let result = templates.execute("main", Value::Nil, &limits);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Limit, "{end}");
        }
        let mut templates = Templates::new("all").with_functions(crate::sprig::functions());
        templates.parse("main", "{{ $x := list }}{{ range 100000 }}{{ $x = append $x 1 }}{{ end }}").unwrap();
        assert_eq!(templates.execute("main", Value::Nil, &limits).unwrap_err().kind(), ErrorKind::Limit);
    }

    #[test]
    fn the_caller_can_stop_it() {
        let asked = Cell::new(0);
        let stop = || {
            asked.set(asked.get() + 1);
            asked.get() > 3
        };
        let limits = Limits { stop: Some(&stop), ..Limits::default() };
        assert!(refusal("{{range 1000000}}{{end}}", &limits).ends_with("was stopped"));
        assert_eq!(asked.get(), 4);
    }
}
