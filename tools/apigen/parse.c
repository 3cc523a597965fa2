/*
 * From tokens to struct api, by recursive descent over the grammar in README.md. One token of
 * look-ahead. The first error of a file ends that file: the lexer then gives only TOKEN_END and
 * `failed` keeps follow-up errors silent.
 */
#include <string.h>

#include "apigen.h"

struct parser {
	struct api *api;
	struct lexer lexer;
	struct token token; /* the next, not yet taken */
	unsigned base;
	bool has_base, failed;
};

static void parse_step(struct parser *p)
{
	int before = p->api->n_errors;

	p->token = lex_next(&p->lexer);
	if (p->api->n_errors > before)
		p->failed = true;
}

static void parse_fail(struct parser *p, struct place place, const char *message, const char *what)
{
	if (!p->failed)
		api_error(p->api, place, message, what);
	p->failed = true;
	p->lexer.at = p->lexer.end;
	p->token = (struct token){TOKEN_END, "the end", 0, place};
}

static bool parse_at(const struct parser *p, const char *text)
{
	return p->token.kind != TOKEN_END && !strcmp(p->token.text, text);
}

static bool parse_accept(struct parser *p, const char *text)
{
	if (!parse_at(p, text))
		return false;
	parse_step(p);
	return true;
}

static void parse_unexpected(struct parser *p, const char *wanted)
{
	parse_fail(
	    p, p->token.place, api_text(p->api, "expected %s, not \"%%s\"", wanted), p->token.text);
}

static void parse_expect(struct parser *p, const char *text)
{
	if (!parse_accept(p, text))
		parse_unexpected(p, api_text(p->api, "\"%s\"", text));
}

static const char *parse_word(struct parser *p, const char *what)
{
	const char *text = p->token.text;

	if (p->token.kind != TOKEN_WORD) {
		parse_unexpected(p, what);
		return "";
	}
	parse_step(p);
	return text;
}

static uint64_t parse_number(struct parser *p, const char *what)
{
	uint64_t number = p->token.number;

	if (p->token.kind != TOKEN_NUMBER) {
		parse_unexpected(p, what);
		return 0;
	}
	parse_step(p);
	return number;
}

/* Free text up to the closing parenthesis: nothing reads what `charge` and `replay` say yet. */
static const char *parse_free_text(struct parser *p)
{
	const char *text = "";
	bool space = false;

	parse_expect(p, "(");
	while (p->token.kind != TOKEN_END && !parse_at(p, ")")) {
		bool tight = parse_at(p, ",") || parse_at(p, ";");
		text = api_text(p->api, "%s%s%s", text, space && !tight ? " " : "", p->token.text);
		space = !parse_at(p, "*");
		parse_step(p);
	}
	parse_expect(p, ")");
	return text;
}

static const struct kind_word {
	const char *word;
	enum type_kind kind;
	unsigned width;
} kind_words[] = {
    {"u8", TYPE_INTEGER, 8},
    {"u16", TYPE_INTEGER, 16},
    {"u32", TYPE_INTEGER, 32},
    {"u64", TYPE_INTEGER, 64},
    {"i8", TYPE_INTEGER, 8},
    {"i16", TYPE_INTEGER, 16},
    {"i32", TYPE_INTEGER, 32},
    {"i64", TYPE_INTEGER, 64},
    {"enum", TYPE_INTEGER, 32},
    {"device", TYPE_INTEGER, 32},
    {"f32", TYPE_FLOAT, 32},
    {"f64", TYPE_FLOAT, 64},
    {"handle", TYPE_HANDLE, 64},
    {"struct", TYPE_STRUCT, 0},
    {"void", TYPE_VOID, 0},
    {"opaque", TYPE_OPAQUE, 0},
};

static const struct kind_word *parse_find_kind(const char *word)
{
	for (size_t i = 0; i < sizeof(kind_words) / sizeof(kind_words[0]); i++)
		if (!strcmp(kind_words[i].word, word))
			return &kind_words[i];
	return NULL;
}

static void parse_pass(struct parser *p, struct type *type)
{
	parse_expect(p, "(");
	do {
		if (type->n_pass == API_PASS) {
			parse_fail(p, p->token.place, "too many values in %s(...)", "pass");
			return;
		}
		type->pass[type->n_pass++] = parse_number(p, "a handle value");
	} while (parse_accept(p, ","));
	parse_expect(p, ")");
}

static void parse_located(struct parser *p, struct type *type)
{
	type->located = "";
	if (!parse_accept(p, "("))
		return;
	type->located = parse_word(p, "the member that is a CUmemLocation");
	parse_expect(p, ")");
}

/* "type" NAME... KIND: names of several words are C's own ("unsigned long long"). */
static void parse_type(struct parser *p, struct place place)
{
	struct type *type = api_keep(p->api, sizeof(*type));
	const char *name = parse_word(p, "the name of a type");
	const struct kind_word *kind = NULL;

	while (!p->failed && !(kind = parse_find_kind(p->token.text))) {
		if (p->token.place.line != place.line)
			parse_unexpected(p, "the kind of the type");
		name = api_text(p->api, "%s %s", name, parse_word(p, "the kind of the type"));
	}
	if (p->failed)
		return;
	parse_step(p);
	*type = (struct type){.place = place,
	    .name = name,
	    .kind = kind->kind,
	    .width = kind->width,
	    .device = !strcmp(kind->word, "device")};
	if (kind->kind == TYPE_STRUCT && parse_accept(p, "located"))
		parse_located(p, type);
	if (kind->kind == TYPE_HANDLE) {
		type->handle = parse_word(p, "the kind of the handle");
		if (parse_accept(p, "pass"))
			parse_pass(p, type);
	}
	*p->api->types_end = type;
	p->api->types_end = &type->next;
}

/* A product of names, pointed-to names and numbers: n, *n, width*height, 2*n. */
static void parse_length(struct parser *p, struct length *length)
{
	parse_expect(p, "(");
	do {
		if (length->n_terms == API_TERMS) {
			parse_fail(p, p->token.place, "a length has at most four %s", "factors");
			return;
		}
		struct term *term = &length->terms[length->n_terms++];
		term->pointed = parse_accept(p, "*");
		if (p->token.kind == TOKEN_NUMBER && !term->pointed)
			term->constant = parse_number(p, "a length");
		else
			term->name = parse_word(p, "a length");
	} while (parse_accept(p, "*"));
	parse_expect(p, ")");
}

static bool parse_shape(struct parser *p, struct param *param)
{
	static const struct {
		const char *word;
		enum shape shape;
	} words[] = {
	    {"bytes", SHAPE_BYTES},
	    {"array", SHAPE_ARRAY},
	    {"cstr", SHAPE_CSTR},
	    {"blob", SHAPE_BLOB},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!parse_at(p, words[i].word))
			continue;
		if (param->shape)
			parse_fail(p, p->token.place, "a second shape, \"%s\"", words[i].word);
		param->shape = words[i].shape;
		parse_step(p);
		if (param->shape != SHAPE_CSTR || parse_at(p, "("))
			parse_length(p, &param->length);
		return true;
	}
	return false;
}

static bool parse_direction(struct parser *p, struct param *param)
{
	static const struct {
		const char *word;
		enum direction direction;
	} words[] = {
	    {"in", DIR_IN},
	    {"out", DIR_OUT},
	    {"inout", DIR_INOUT},
	    {"new", DIR_NEW},
	    {"free", DIR_FREE},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!parse_at(p, words[i].word))
			continue;
		if (param->direction)
			parse_fail(p, p->token.place, "a second direction, \"%s\"", words[i].word);
		param->direction = words[i].direction;
		parse_step(p);
		return true;
	}
	return false;
}

/* "const"? NAME... "const"? "*"... NAME: the last word is the parameter's name. */
static void parse_c_declaration(struct parser *p, struct param *param)
{
	const char *type = NULL, *last = NULL;

	param->is_const = parse_accept(p, "const");
	while (p->token.kind == TOKEN_WORD) {
		if (parse_accept(p, "const")) {
			param->is_const = true;
			continue;
		}
		if (last)
			type = type ? api_text(p->api, "%s %s", type, last) : last;
		last = parse_word(p, "a type");
	}
	if (parse_at(p, "*")) {
		if (last)
			type = type ? api_text(p->api, "%s %s", type, last) : last;
		while (parse_accept(p, "*")) {
			param->stars++;
			parse_accept(p, "const");
		}
		last = parse_word(p, "the name of a parameter");
	}
	if (param->stars > PARAM_STARS)
		parse_fail(p, param->place, "at most three stars, \"%s\"", last);
	if (!type || !last) {
		parse_unexpected(p, "a type and a name");
		return;
	}
	param->type_name = type;
	param->name = last;
}

static struct param *parse_param(struct parser *p)
{
	struct param *param = api_keep(p->api, sizeof(*param));

	param->place = p->token.place;
	while (!p->failed) {
		if (parse_accept(p, "opt"))
			param->opt = true;
		else if (parse_accept(p, "late"))
			param->late = true;
		else if (!parse_direction(p, param) && !parse_shape(p, param))
			break;
	}
	parse_c_declaration(p, param);
	return param;
}

static struct param *parse_params(struct parser *p)
{
	struct param *first = NULL, **end = &first;

	parse_expect(p, "(");
	if (parse_accept(p, ")"))
		return NULL;
	if (parse_at(p, "void")) {
		struct parser ahead = *p;
		parse_step(&ahead);
		if (parse_accept(&ahead, ")")) {
			*p = ahead;
			return NULL;
		}
	}
	do {
		*end = parse_param(p);
		end = &(*end)->next;
	} while (!p->failed && parse_accept(p, ","));
	parse_expect(p, ")");
	return first;
}

static void parse_custom(struct parser *p, struct fn *fn)
{
	parse_expect(p, "(");
	do {
		if (parse_accept(p, "shim"))
			fn->custom_shim = true;
		else if (parse_accept(p, "server"))
			fn->custom_server = true;
		else
			parse_unexpected(p, "\"shim\" or \"server\"");
	} while (parse_accept(p, ","));
	parse_expect(p, ")");
}

static const char *parse_function(struct parser *p)
{
	parse_expect(p, "(");
	const char *name = parse_word(p, "the name of a function");
	parse_expect(p, ")");
	return name;
}

static const char *parse_parameter(struct parser *p)
{
	parse_expect(p, "(");
	const char *name = parse_word(p, "the name of a parameter");
	parse_expect(p, ")");
	return name;
}

/* "proc" "(" BASE [, "ptsz" | "ptds"] "," VERSION ")" */
static void parse_proc(struct parser *p, struct fn *fn)
{
	parse_expect(p, "(");
	fn->proc_base = parse_word(p, "the name asked for");
	fn->proc_variant = "";
	parse_expect(p, ",");
	if (p->token.kind == TOKEN_WORD) {
		fn->proc_variant = api_text(p->api, "_%s", parse_word(p, "a variant"));
		parse_expect(p, ",");
	}
	fn->proc_version = (unsigned)parse_number(p, "a CUDA version");
	parse_expect(p, ")");
}

/* The name of a parameter, or a number. */
static const char *parse_factor(struct parser *p)
{
	if (p->token.kind != TOKEN_NUMBER)
		return parse_word(p, "a number of bytes");
	return api_text(p->api, "%llu", (unsigned long long)parse_number(p, "a number of bytes"));
}

/* "known" "(" ADDRESS "," FACTOR ["," FACTOR] ")", "aligned" or "below" "(" PARAMETER "," NUMBER
 * ")" */
static void parse_known(struct parser *p, struct fn *fn, enum known_kind kind)
{
	struct known known = {.kind = kind, .factor = {NULL, "1"}};
	struct place place = p->token.place;

	parse_expect(p, "(");
	known.address = parse_word(p, "an address");
	parse_expect(p, ",");
	known.factor[0] = parse_factor(p);
	if (kind == KNOWN_MEMORY && parse_accept(p, ","))
		known.factor[1] = parse_factor(p);
	parse_expect(p, ")");
	if (fn->n_known == KNOWN_MAX)
		parse_fail(p, place, "more than %s", "three things are known, aligned or below");
	else
		fn->known[fn->n_known++] = known;
}

static bool parse_attribute(struct parser *p, struct fn *fn)
{
	if (parse_accept(p, "blocks"))
		fn->blocks = true;
	else if (parse_accept(p, "cache"))
		fn->cache = true;
	else if (parse_accept(p, "direct"))
		fn->direct = true;
	else if (parse_accept(p, "early"))
		fn->early = true;
	else if (parse_accept(p, "context"))
		fn->context = true;
	else if (parse_accept(p, "ptsz"))
		fn->twin = TWIN_PTSZ;
	else if (parse_accept(p, "ptds"))
		fn->twin = TWIN_PTDS;
	else if (parse_accept(p, "narrow"))
		fn->twin = TWIN_NARROW;
	else if (parse_accept(p, "undo"))
		fn->undo_name = parse_function(p);
	else if (parse_accept(p, "custom"))
		parse_custom(p, fn);
	else if (parse_accept(p, "alias"))
		fn->alias = parse_function(p);
	else if (parse_accept(p, "proc"))
		parse_proc(p, fn);
	else if (parse_accept(p, "charge"))
		fn->charge = parse_free_text(p);
	else if (parse_accept(p, "replay"))
		fn->replay = parse_free_text(p);
	else if (parse_accept(p, "order"))
		fn->order = parse_free_text(p);
	else if (parse_accept(p, "known"))
		parse_known(p, fn, KNOWN_MEMORY);
	else if (parse_accept(p, "aligned"))
		parse_known(p, fn, KNOWN_ALIGNED);
	else if (parse_accept(p, "below"))
		parse_known(p, fn, KNOWN_BELOW);
	else if (parse_accept(p, "first"))
		fn->first = parse_parameter(p);
	else
		return false;
	return true;
}

static void parse_class(struct parser *p, struct fn *fn)
{
	static const char *const words[] = {
	    [CLASS_SYNC] = "sync",
	    [CLASS_ASYNC] = "async",
	    [CLASS_LOCAL] = "local",
	    [CLASS_NOSUP] = "nosup",
	};

	if (parse_accept(p, "internal")) {
		fn->class = CLASS_INTERNAL_SYNC;
		if (parse_accept(p, "(")) {
			if (parse_accept(p, "async"))
				fn->class = CLASS_INTERNAL_ASYNC;
			else
				parse_expect(p, "sync");
			parse_expect(p, ")");
		}
		return;
	}
	for (enum class c = CLASS_SYNC; c <= CLASS_NOSUP; c++) {
		if (parse_accept(p, words[c])) {
			fn->class = c;
			return;
		}
	}
}

static void parse_fn_id(struct parser *p, struct fn *fn)
{
	if (!parse_accept(p, "+"))
		return;
	struct place place = p->token.place;
	uint64_t offset = parse_number(p, "an offset from the base");
	if (p->failed)
		return;
	if (!p->has_base)
		parse_fail(p, place, "a function before any \"%s\"", "base");
	else if (offset > API_ID_LAST - p->base)
		parse_fail(p, place, "the id of \"%s\" is above 0xffff", p->token.text);
	fn->id = p->base + (unsigned)offset;
	fn->has_id = true;
}

static void parse_fn(struct parser *p, struct place place)
{
	struct fn *fn = api_keep(p->api, sizeof(*fn));

	fn->place = place;
	parse_fn_id(p, fn);
	fn->name = parse_word(p, "the name of a function");
	if (parse_accept(p, "since"))
		fn->since = (unsigned)parse_number(p, "a CUDA version");
	parse_class(p, fn);
	while (!p->failed && parse_attribute(p, fn))
		;
	if (parse_accept(p, "CUresult")) {
		fn->has_prototype = true;
		fn->params = parse_params(p);
		parse_expect(p, ";");
	} else if (!fn->alias) {
		parse_unexpected(p, "an attribute or \"CUresult (\"");
	}
	if (parse_accept(p, "wire")) {
		fn->has_wire = true;
		fn->wire = parse_params(p);
		parse_expect(p, ";");
	}
	if (p->failed)
		return;
	*p->api->fns_end = fn;
	p->api->fns_end = &fn->next;
}

static void parse_base(struct parser *p)
{
	struct place place = p->token.place;
	uint64_t base = parse_number(p, "an id");

	if (!p->failed && (base < API_ID_FIRST || base > API_ID_LAST))
		parse_fail(p, place, "a base lies between 0x0100 and 0xffff%s", "");
	p->base = (unsigned)base;
	p->has_base = true;
}

static void parse_start(
    struct parser *p, struct api *api, const char *file, const char *text, size_t size)
{
	*p = (struct parser){
	    .api = api,
	    .lexer = {.api = api, .at = text, .end = text + size, .place = {file, 1}},
	};
	parse_step(p);
}

void api_parse(struct api *api, const char *file, const char *text, size_t size)
{
	struct parser p;

	parse_start(&p, api, file, text, size);
	while (p.token.kind != TOKEN_END) {
		struct place place = p.token.place;
		if (parse_accept(&p, "base"))
			parse_base(&p);
		else if (parse_accept(&p, "type"))
			parse_type(&p, place);
		else if (parse_accept(&p, "fn"))
			parse_fn(&p, place);
		else
			parse_unexpected(&p, "\"base\", \"type\" or \"fn\"");
	}
}

void api_parse_live(struct api *api, const char *file, const char *text, size_t size)
{
	struct parser p;

	parse_start(&p, api, file, text, size);
	while (p.token.kind != TOKEN_END) {
		struct place place = p.token.place;
		const char *name = parse_word(&p, "the name of a function");
		struct fn *fn = api_find(api, name);
		if (p.failed)
			break;
		if (!fn || fn_internal(fn))
			api_error(api, place, "\"%s\" is not an exported function", name);
		else if (fn->softgpu)
			api_error(api, place, "\"%s\" is listed twice", name);
		else
			fn->softgpu = true;
	}
}
