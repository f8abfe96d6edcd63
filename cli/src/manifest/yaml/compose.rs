//! Builds values from the parser's events: aliases, merge keys, names of fields.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::limits;
use super::node::{Content, Field, Node, Size};
use super::problem::Problem;
use super::scalar::Scalar;

/// The merge key, which adds the fields of other maps.
const MERGE: &str = "<<";

/// Returns the documents of a text that starts after `before` lines of other texts.
pub(super) fn documents(text: &str, before: usize) -> Result<Vec<Arc<Node>>, Problem> {
    let mut options = granit_parser::options! {};
    options.set_emit_comments(false);
    let composer = Composer {
        parser: Parser::new_from_str_with_options(text, options),
        before,
        anchors: BTreeMap::new(),
        path: Vec::new(),
        read: Names::default(),
        size: Size::default(),
    };
    composer.all()
}

struct Composer<'t> {
    parser: Parser<'t, StrInput<'t>>,
    before: usize,
    anchors: BTreeMap<usize, Arc<Node>>,
    path: Vec<PathSegment>,
    read: Names,
    /// The size of the documents so far.
    size: Size,
}

/// A segment of the path of a value.
enum PathSegment {
    Field(String),
    Item(usize),
}

/// Kind and name of the current resource, if they were read already.
#[derive(Default)]
struct Names {
    kind: String,
    name: String,
}

type Composed = Result<Arc<Node>, Problem>;

impl<'t> Composer<'t> {
    fn all(mut self) -> Result<Vec<Arc<Node>>, Problem> {
        let mut all = Vec::new();
        let mut is_first = true;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(all),
                Event::DocumentStart(explicit, _) => {
                    if !explicit && !is_first {
                        return Err(self.problem(
                            line,
                            "what follows the end of a document (...) has no --- before it, and kubectl \
                             would leave it out in silence; write --- above it",
                        ));
                    }
                    is_first = false;
                    all.extend(self.document()?);
                }
                _ => {}
            }
        }
    }

    /// Returns a document, unless it is empty.
    fn document(&mut self) -> Result<Option<Arc<Node>>, Problem> {
        self.anchors.clear();
        self.read = Names::default();
        let (event, line) = self.next()?;
        let node = self.node(event, line)?;
        self.size.add(0, node.size);
        self.size.levels = node.size.levels;
        self.within_limits(node.line, self.size)?;
        Ok(Some(node).filter(|node| !node.is_null()))
    }

    fn next(&mut self) -> Result<(Event<'t>, usize), Problem> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line() + self.before)),
            Some(Err(error)) => Err(self.unreadable(&error)),
            None => Ok((Event::StreamEnd, self.before)),
        }
    }

    fn node(&mut self, event: Event<'t>, line: usize) -> Composed {
        if self.path.len() > limits::LEVELS {
            return Err(self.problem(line, limits::too_deep()));
        }
        let (content, anchor) = match event {
            Event::Alias(id) => return self.alias(id, line),
            Event::Scalar(text, style, anchor, tag) => {
                let scalar = self.scalar(&text, style, tag.as_deref(), line)?;
                (Content::Scalar(scalar), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.only_tag("seq", tag.as_deref(), line)?;
                (Content::List(self.list()?), anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.only_tag("map", tag.as_deref(), line)?;
                (Content::Map(self.map()?), anchor)
            }
            _ => return Err(self.problem(line, "a value is missing here")),
        };
        let size = size_of(&content);
        self.within_limits(line, size)?;
        let node = Arc::new(Node {
            line,
            content,
            size,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// An anchor without a value is the anchor around this alias. The parser reports unknown
    /// anchors.
    fn alias(&mut self, id: usize, line: usize) -> Composed {
        let found = self.anchors.get(&id).cloned();
        let node = found.ok_or_else(|| {
            self.problem(
                line,
                "an anchor cannot be used inside its own value; write the value out",
            )
        })?;
        let levels = self.path.len() + node.size.levels;
        self.within_limits(
            line,
            Size {
                levels,
                ..node.size
            },
        )?;
        Ok(node)
    }

    fn list(&mut self) -> Result<Vec<Arc<Node>>, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, line) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(items);
            }
            self.path.push(PathSegment::Item(items.len()));
            items.push(self.node(event, line)?);
            self.path.pop();
        }
    }

    fn map(&mut self) -> Result<Vec<Field>, Problem> {
        let mut fields = Fields::default();
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(fields.all);
            }
            let is_merge = is_merge(&event);
            let name = self.name(event, line)?;
            self.path.push(PathSegment::Field(name.clone()));
            if let Some(first) = fields.written.get(&name) {
                let message = format!("this field is also in line {first}; keep one of them");
                return Err(self.problem(line, message));
            }
            let (event, value_line) = self.next()?;
            let value = self.node(event, value_line)?;
            self.remember(&value);
            if is_merge {
                self.merge(&value, line, &mut fields)?;
            } else {
                fields.set(Field {
                    name: name.clone(),
                    line,
                    value,
                });
            }
            fields.written.insert(name, line);
            self.path.pop();
        }
    }

    /// Returns the name of a field.
    fn name(&mut self, event: Event<'t>, line: usize) -> Result<String, Problem> {
        let node = match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => None,
            other => Some(self.node(other, line)?),
        };
        let name = node.as_ref().and_then(|node| match &node.content {
            Content::Scalar(scalar) => scalar.name(),
            Content::List(_) | Content::Map(_) => None,
        });
        name.ok_or_else(|| {
            self.problem(
                line,
                "the name of a field must be a string; put it into quotes",
            )
        })
    }

    /// Adds the fields of another map, or of several. The first map takes precedence.
    fn merge(&self, value: &Node, line: usize, fields: &mut Fields) -> Result<(), Problem> {
        let maps = match &value.content {
            Content::Map(_) => vec![value],
            Content::List(items) => items.iter().map(AsRef::as_ref).collect(),
            Content::Scalar(_) => Vec::new(),
        };
        let mut taken = BTreeMap::new();
        for map in &maps {
            let Content::Map(inner) = &map.content else {
                return Err(self.not_merged(line));
            };
            for field in inner {
                taken.entry(field.name.as_str()).or_insert(field);
            }
        }
        if maps.is_empty() && value.items().is_none() {
            return Err(self.not_merged(line));
        }
        for (name, field) in taken {
            if let Some(first) = fields.written.get(name) {
                return Err(self.problem(
                    line,
                    format!(
                        "it would set {name}, which line {first} sets already, and which of them holds is \
                         not the same for every tool; write << above the other fields"
                    ),
                ));
            }
            fields.set(field.clone());
        }
        Ok(())
    }

    fn not_merged(&self, line: usize) -> Problem {
        self.problem(
            line,
            "<< takes a map or a list of maps, such as <<: *defaults",
        )
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        line: usize,
    ) -> Result<Scalar, Problem> {
        let scalar = match tag {
            Some(tag) => {
                let short = tag.core_suffix().map(str::to_owned);
                let found = short.and_then(|short| Scalar::tagged(&short, text));
                found.ok_or_else(|| self.wrong_tag(tag, line))?
            }
            None if style == ScalarStyle::Plain => Scalar::plain(text),
            None => Scalar::Text(text.to_owned()),
        };
        match scalar {
            Scalar::Float(float) if !float.is_finite() => Err(self.problem(
                line,
                "JSON has no .inf and .nan; for a string, put it into quotes",
            )),
            scalar => Ok(scalar),
        }
    }

    fn only_tag(&self, only: &str, tag: Option<&Tag>, line: usize) -> Result<(), Problem> {
        match tag {
            Some(tag) if tag.core_suffix() != Some(only) => Err(self.wrong_tag(tag, line)),
            Some(_) | None => Ok(()),
        }
    }

    /// The value is not in the message, because it may be a password.
    fn wrong_tag(&self, tag: &Tag, line: usize) -> Problem {
        self.problem(
            line,
            format!(
                "the tag {} does not fit the value, or is none of !!str, !!int, !!float, !!bool, !!null, !!seq \
                 and !!map; write the value without a tag, a text in quotes",
                tag.original()
            ),
        )
    }

    fn within_limits(&self, line: usize, size: Size) -> Result<(), Problem> {
        limits::exceeded(size).map_or(Ok(()), |message| Err(self.problem(line, message)))
    }

    /// Remembers kind and name of the resource, for later errors in it.
    fn remember(&mut self, value: &Node) {
        let Content::Scalar(Scalar::Text(text)) = &value.content else {
            return;
        };
        let path = match self.path.as_slice() {
            [PathSegment::Field(list), PathSegment::Item(_), inner @ ..] if list == "items" => {
                inner
            }
            path => path,
        };
        match path {
            [PathSegment::Field(kind)] if kind == "kind" => self.read.kind.clone_from(text),
            [PathSegment::Field(metadata), PathSegment::Field(name)]
                if metadata == "metadata" && name == "name" =>
            {
                self.read.name.clone_from(text);
            }
            _ => {}
        }
    }

    fn problem(&self, line: usize, message: impl Into<String>) -> Problem {
        let Names { kind, name } = &self.read;
        let mut path = String::new();
        for step in &self.path {
            match step {
                PathSegment::Field(name) if path.is_empty() => path.push_str(name),
                PathSegment::Field(name) => path.extend([".", name]),
                PathSegment::Item(index) => path.extend(["[", &index.to_string(), "]"]),
            }
        }
        Problem {
            line,
            resource: match (kind.as_str(), name.as_str()) {
                ("", _) => String::new(),
                (kind, "") => kind.to_owned(),
                (kind, name) => format!("{kind}/{name}"),
            },
            path,
            message: message.into(),
        }
    }

    fn unreadable(&self, error: &ScanError) -> Problem {
        let line = error.marker().line() + self.before;
        let column = error.marker().col() + 1;
        let message = super::syntax::sentence(error.kind());
        Problem {
            // The parser may be ahead of the composed values.
            path: String::new(),
            ..self.problem(line, format!("column {column}: {message}"))
        }
    }
}

/// The fields of a map so far.
#[derive(Default)]
struct Fields {
    all: Vec<Field>,
    places: HashMap<String, usize>,
    /// The lines of the fields that are written in the map itself.
    written: HashMap<String, usize>,
}

impl Fields {
    /// Adds a field. It replaces a merged field of the same name.
    fn set(&mut self, field: Field) {
        let place = self.places.get(&field.name).copied();
        if let Some(known) = place.and_then(|place| self.all.get_mut(place)) {
            *known = field;
        } else {
            self.places.insert(field.name.clone(), self.all.len());
            self.all.push(field);
        }
    }
}

fn is_merge(event: &Event<'_>) -> bool {
    matches!(event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == MERGE)
}

fn size_of(content: &Content) -> Size {
    let mut size = Size {
        values: 1,
        ..Size::default()
    };
    match content {
        Content::Scalar(Scalar::Text(text)) => size.bytes = text.len(),
        Content::Scalar(_) => {}
        Content::List(items) => {
            for item in items {
                size.add(0, item.size);
            }
        }
        Content::Map(fields) => {
            for field in fields {
                size.add(field.name.len(), field.value.size);
            }
        }
    }
    size
}
