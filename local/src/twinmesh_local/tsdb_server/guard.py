"""Which SQL is let through to the engine, which in process may read any file and call any host.

Token by token, so that strings and comments cannot hide a word. Statements, table functions, table
engines and settings are allow-listed; whatever the scanner cannot read with certainty is refused.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from twinmesh_local.tsdb_server.refusal import (
    ACCESS_DENIED,
    READONLY,
    SETTING_CONSTRAINT_VIOLATION,
    SUPPORT_IS_DISABLED,
    SYNTAX_ERROR,
    UNKNOWN_SETTING,
    Refused,
)

MAX_SQL_BYTES: Final = 4_194_304
MAX_EXECUTION_S: Final = 60.0

READS: Final = frozenset({"select", "with", "show", "describe", "desc", "exists", "explain"})
STATEMENTS: Final = READS | {
    "insert", "create", "alter", "drop", "optimize", "truncate", "rename", "exchange", "delete",
    "update", "system", "check",
}  # fmt: skip
CREATED: Final = frozenset({"database", "table", "view", "materialized", "or", "if"})
SYSTEM: Final = frozenset({"refresh", "wait"})
TABLE_FUNCTIONS: Final = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "generateseries", "generate_series", "values",
     "view", "format", "merge"}
)  # fmt: skip
FUNCTIONS_REFUSED: Final = frozenset(
    {"file", "disk", "catboostevaluate", "reversednsquery", "executable", "eval"}
)
WORDS_REFUSED: Final = frozenset({"infile", "outfile", "freeze", "unfreeze", "fetch"})
ENGINE: Final = re.compile(
    r"((replacing|summing|aggregating|collapsing|versionedcollapsing)?mergetree|memory|null|atomic)",
)
SETTINGS: Final = re.compile(
    r"max_execution_time|max_threads|max_insert_threads|max_block_size|max_insert_block_size"
    r"|max_result_rows|max_rows_to_read|max_memory_usage|max_bytes_before_external_(group_by|sort)"
    r"|max_partitions_per_insert_block|min_insert_block_size_(rows|bytes)|result_overflow_mode"
    r"|insert_deduplication_token|insert_deduplicate|async_insert|wait_for_async_insert"
    r"|deduplicate_blocks_in_dependent_materialized_views|deduplicate_insert(_select)?"
    r"|materialized_views_ignore_errors|parallel_view_processing"
    r"|date_time_(in|out)put_format|(in|out)put_format_[a-z0-9_]+|format_[a-z0-9_]+"
    r"|cast_string_to_(dynamic|variant)_use_inference"
    r"|final|do_not_merge_across_partitions_select_final|join_use_nulls|join_algorithm"
    r"|optimize_[a-z_]+|use_skip_indexes(_if_final)?|session_timezone|cast_keep_nullable"
    r"|mutations_sync|lightweight_deletes_sync|alter_sync|group_by_use_nulls|extremes"
    r"|data_type_default_nullable|transform_null_in|readonly|log_queries|log_comment"
    r"|allow_experimental_refreshable_materialized_view|enable_analyzer"
    r"|use_query_cache|apply_deleted_mask|enable_lightweight_delete|wait_end_of_query|priority"
)
TABLE_SETTINGS: Final = re.compile(
    r"index_granularity(_bytes)?|non_replicated_deduplication_window|ttl_only_drop_parts"
    r"|merge_with_ttl_timeout|min_(rows|bytes)_for_wide_part|parts_to_(delay|throw)_insert"
    r"|enable_block_(number|offset)_column|allow_nullable_key|max_parts_in_total"
    r"|deduplicate_merge_projection_mode|fsync_after_insert|min_age_to_force_merge_seconds"
)

_TOKEN: Final = re.compile(
    rb"""(?P<space>[ \t\r\n\f\v]+|--[^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*')
    |(?P<quoted>"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>\.?[0-9](?:[eEpP][+-]?[0-9]|[0-9A-Za-z_.])*)
    |(?P<mark>[()\[\]{},.:;=<>!+*/%?@^|&~-])""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL.

    Attributes:
        kind: string, quoted, word, number or mark.
        text: Lower case; of a quoted identifier, what is inside.
    """

    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL that may run.

    Attributes:
        verb: Its first word.
        data_at: Where the data of `INSERT ... FORMAT` begin; None without such data.
        infile_at: Where `FROM INFILE` would stand.
        format: The FORMAT it names, as written.
        identifiers: Parameters that stand for identifiers.
    """

    verb: str
    data_at: int | None = None
    infile_at: int | None = None
    format: str | None = None
    identifiers: frozenset[str] = frozenset()


def scan(sql: bytes) -> Iterator[Token]:
    """Yield the tokens.

    Raises:
        Refused: Something that is not certainly one token: an open quote, `$`, `#`, a curly quote.
    """
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            raise Refused(SYNTAX_ERROR, f"Cannot read the query at position {at}.")
        kind = match.lastgroup or ""
        if kind == "quoted":
            inside = match[0][1:-1].decode(errors="replace")
            yield Token(kind, inside.lower(), at, match.end())
        elif kind != "space":
            yield Token(kind, match[0].decode(errors="replace").lower(), at, match.end())
        at = match.end()


class Guard:
    """Decides about statements.

    Args:
        table_functions: Every table function the engine has: what is not allowed here is refused.
    """

    def __init__(self, table_functions: Collection[str]) -> None:
        known = {name.lower() for name in table_functions}
        self._refused = (known | FUNCTIONS_REFUSED) - TABLE_FUNCTIONS

    def check(self, sql: bytes, *, writable: bool) -> Statement:
        """Return what `sql` is.

        Raises:
            Refused: It may not run.
        """
        tokens = _head(sql)
        if not tokens:
            raise Refused(SYNTAX_ERROR, "Empty query.")
        verb = tokens[0].text
        if tokens[0].kind == "mark" and verb == "(":
            verb = next((t.text for t in tokens if t.text != "("), "")
        if verb not in STATEMENTS:
            raise Refused(SUPPORT_IS_DISABLED, f"Statement {verb[:40].upper()!r} is disabled.")
        if not writable and verb not in READS:
            raise Refused(READONLY, "Only reading is possible by GET; use POST.")
        self._check_words(tokens, verb)
        _check_settings(tokens, verb)
        return _described(tokens, verb, sql)

    def _check_words(self, tokens: list[Token], verb: str) -> None:
        if verb == "create" and (len(tokens) < 2 or tokens[1].text not in CREATED):
            raise Refused(SUPPORT_IS_DISABLED, "Only tables, views and databases can be created.")
        if verb == "system" and (len(tokens) < 2 or tokens[1].text not in SYSTEM):
            raise Refused(SUPPORT_IS_DISABLED, "Of SYSTEM only REFRESH and WAIT VIEW are enabled.")
        for at, token in enumerate(tokens):
            follower = tokens[at + 1] if at + 1 < len(tokens) else None
            self._check_word(token, follower)
            if verb in {"create", "alter"} and token.kind == "word" and token.text == "engine":
                _check_engine(tokens[at + 1 :])

    def _check_word(self, token: Token, follower: Token | None) -> None:
        """Look at one token and the next."""
        if token.kind == "mark" and token.text == ";":
            raise Refused(SYNTAX_ERROR, "Multi-statements are not allowed.")
        if token.kind not in {"word", "quoted"}:
            return
        if token.kind == "word" and token.text in WORDS_REFUSED:
            raise Refused(ACCESS_DENIED, f"{token.text.upper()} is disabled: no files here.")
        if follower is None:
            return
        if follower.text == "(" and self._refuses(token.text):
            raise Refused(ACCESS_DENIED, f"Function {token.text[:60]} is disabled.")
        # chDB's `default` database is an overlay on the file system.
        if follower.text == "." and token.text == "default":
            raise Refused(ACCESS_DENIED, "Database default is disabled; name another one.")
        if token.kind == "word" and token.text in {"from", "join", "describe", "desc", "table"}:
            if follower.kind == "string":
                raise Refused(ACCESS_DENIED, "A string is no table here.")
            if follower.kind == "quoted" and "/" in follower.text:
                raise Refused(ACCESS_DENIED, "A path is no table here.")
        if token.text == "parallel" and follower.text == "with":
            raise Refused(SUPPORT_IS_DISABLED, "PARALLEL WITH is disabled.")

    def _refuses(self, function: str) -> bool:
        return function in self._refused or function.startswith("ai")


def _head(sql: bytes) -> list[Token]:
    """Return the tokens of the query itself: without a final `;`, without an INSERT's data."""
    tokens: list[Token] = []
    for token in scan(sql):
        if token.end > MAX_SQL_BYTES:
            raise Refused(SYNTAX_ERROR, f"Query is longer than {MAX_SQL_BYTES} bytes.")
        tokens.append(token)
        is_insert = tokens[0].text == "insert"
        if is_insert and len(tokens) > 1 and tokens[-2].text == "format" and token.kind == "word":
            break
    else:
        while tokens and tokens[-1].text == ";" and tokens[-1].kind == "mark":
            tokens.pop()
    return tokens


def _described(tokens: list[Token], verb: str, sql: bytes) -> Statement:
    identifiers = frozenset(
        sql[tokens[at + 1].start : tokens[at + 1].end].decode(errors="replace")
        for at in range(len(tokens) - 3)
        if tokens[at].text == "{" and tokens[at + 3].text == "identifier"
    )
    last = tokens[-1]
    named = len(tokens) > 1 and tokens[-2].text == "format" and tokens[-2].kind == "word"
    if not named or last.kind != "word":
        return Statement(verb, identifiers=identifiers)
    written = sql[last.start : last.end].decode()
    if verb != "insert":
        return Statement(verb, format=written, identifiers=identifiers)
    settings = next((t for t in tokens if t.kind == "word" and t.text == "settings"), tokens[-2])
    return Statement(
        verb,
        data_at=_data_start(sql, last.end),
        infile_at=settings.start,
        format=written,
        identifiers=identifiers,
    )


def _data_start(sql: bytes, at: int) -> int:
    """Return where the data begin: after blanks and at most one line end, as in ClickHouse."""
    while at < len(sql) and sql[at] in b" \t\f\r":
        at += 1
    return at + 1 if at < len(sql) and sql[at : at + 1] == b"\n" else at


def _check_engine(rest: list[Token]) -> None:
    named = rest[1:] if rest and rest[0].text == "=" else rest
    if not named or named[0].kind != "word" or not ENGINE.fullmatch(named[0].text):
        what = named[0].text[:60] if named else ""
        raise Refused(SUPPORT_IS_DISABLED, f"Table engine {what!r} is disabled.")


def _check_settings(tokens: list[Token], verb: str) -> None:
    """Look at every `SETTINGS name = value, ...` of the query."""
    for at, token in enumerate(tokens):
        if token.kind != "word" or token.text not in {"settings", "setting"}:
            continue
        here = at + 1
        while here + 2 < len(tokens) and tokens[here + 1].text == "=":
            value = tokens[here + 2]
            check_setting(
                tokens[here].text, value.text.strip("'"), table=verb in {"create", "alter"}
            )
            here += 3
            if here >= len(tokens) or tokens[here].text != ",":
                break
            here += 1


def check_setting(name: str, value: str, *, table: bool = False) -> None:
    """Pass when a query may set `name` to `value`.

    Raises:
        Refused: It may not.
    """
    if not (SETTINGS.fullmatch(name) or (table and TABLE_SETTINGS.fullmatch(name))):
        raise Refused(UNKNOWN_SETTING, f"Setting {name[:60]} is not enabled here.")
    if name == "max_execution_time":
        try:
            fine = 0 < float(value) <= MAX_EXECUTION_S
        except ValueError:
            fine = False
        if not fine:
            raise Refused(
                SETTING_CONSTRAINT_VIOLATION,
                f"Setting max_execution_time must be above 0 and at most {MAX_EXECUTION_S:.0f}.",
            )


def check_identifiers(statement: Statement, parameters: Mapping[str, str]) -> None:
    """Pass when parameters that stand for identifiers are plain ones.

    Raises:
        Refused: One is not.
    """
    for name in statement.identifiers:
        value = parameters.get(name, "")
        if not _PLAIN.fullmatch(value) or value.lower() == "default":
            raise Refused(ACCESS_DENIED, f"Parameter {name[:60]} is no plain identifier.")
