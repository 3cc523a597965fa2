/*
 * The generator's view of an interface: what parse.c builds from .api files, check.c completes and
 * proves sound, and the emit_*.c files print as C. README.md defines the language.
 *
 * Everything hangs on one struct api and is given back at once by api_fini(). Strings live as long
 * as the api does. Pointers marked "check" are filled by api_check() and valid after it succeeded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define API_ID_FIRST 0x0100 /* lower ids belong to the wire itself */
#define API_ID_LAST  0xffff
#define API_TERMS    4 /* factors of a length */
#define PARAM_STARS  3 /* of a parameter's type */
#define API_PASS     4 /* handle values that are not objects */

struct place {
	const char *file;
	int line;
};

enum type_kind {
	TYPE_INTEGER, /* and enums: crosses as eight bytes */
	TYPE_FLOAT,   /* f32, f64: its bits cross as eight bytes */
	TYPE_HANDLE,  /* an object: its id crosses */
	TYPE_STRUCT,  /* crosses as its bytes */
	TYPE_VOID,    /* only behind a pointer */
	TYPE_OPAQUE,  /* only in prototypes; never crosses */
};

struct type {
	struct type *next;
	struct place place;
	const char *name;
	enum type_kind kind;
	unsigned width;	    /* bits of a float */
	const char *handle; /* HANDLE_<handle> */
	uint64_t pass[API_PASS];
	int n_pass;
	bool device; /* a device's ordinal: the program's own, which the worker's may differ from */
	const char *located; /* a struct's member that is a CUmemLocation; "": it is one itself */
};

enum direction { DIR_NONE, DIR_IN, DIR_OUT, DIR_INOUT, DIR_NEW, DIR_FREE };
enum shape { SHAPE_ONE, SHAPE_BYTES, SHAPE_ARRAY, SHAPE_CSTR, SHAPE_BLOB };

struct term {
	const char *name; /* of a parameter, NULL for a constant */
	uint64_t constant;
	bool pointed;	     /* *name */
	struct param *param; /* check */
};

/* A product. No terms: an `in cstr`, whose length is its own. */
struct length {
	struct term terms[API_TERMS];
	int n_terms;
};

struct param {
	struct param *next;
	struct place place;
	const char *name;
	const char *type_name;
	bool is_const; /* what is pointed to */
	int stars;
	enum direction direction;
	enum shape shape;
	bool opt, late;
	bool is_length;	   /* check: some run is counted by it */
	struct type *type; /* check */
	const char *wide;  /* check: of a narrow form's pointer, what its base's points to */
	struct length length;
};

enum class {
	CLASS_NONE, /* an alias: its base's */
	CLASS_SYNC,
	CLASS_ASYNC,
	CLASS_LOCAL,
	CLASS_NOSUP,
	CLASS_INTERNAL_SYNC,
	CLASS_INTERNAL_ASYNC,
};

enum twin { TWIN_NONE, TWIN_PTSZ, TWIN_PTDS, TWIN_NARROW };

/* What makes sure that a posted call is right. Of memory it names: factor[0] times factor[1]
 * bytes from address on are the program's. Of another parameter: it is a multiple of factor[0],
 * or less. */
enum known_kind { KNOWN_MEMORY, KNOWN_ALIGNED, KNOWN_BELOW };
struct known {
	enum known_kind kind;
	const char *address, *factor[2];
};
enum { KNOWN_MAX = 3 };

struct fn {
	struct fn *next;
	struct place place;
	const char *name;
	unsigned id; /* base + offset; an alias: its base's */
	bool has_id;
	unsigned since;
	enum class class;
	bool blocks, custom_shim, custom_server, cache, early;
	bool direct;	   /* the client's half does without remote_X() */
	bool context;	   /* asks for a current context before it looks at its arguments */
	const char *first; /* the handle that it looks at before its other arguments */
	bool has_prototype, has_wire;
	struct param *params; /* as exported */
	struct param *wire;   /* what crosses, when that differs: has_wire */
	const char *charge, *replay, *order;
	struct known known[KNOWN_MAX];
	int n_known;
	const char *alias;
	enum twin twin;
	const char *undo_name;		      /* of a narrow form: what ends the object it made */
	struct fn *base;		      /* check: of an alias, NULL otherwise */
	struct fn *undo;		      /* check */
	bool takes_flags;		      /* check: a twin of it passes SHIM_PTDS */
	const char *proc_base, *proc_variant; /* check: cuGetProcAddress knows it by these */
	unsigned proc_version;
	bool softgpu; /* listed in softgpu.live */
};

struct kept;

struct api {
	struct type *types, **types_end;
	struct fn *fns, **fns_end;
	size_t n_fns;	   /* all */
	size_t n_exported; /* without the internal ones */
	struct kept *kept;
	const char **inputs; /* names of the files, for "generated from" */
	int n_inputs;
	void (*report)(const char *file, int line, const char *message); /* NULL: stderr */
	int n_errors;
};

/* api.c: ownership, errors, questions that several emitters ask. */
void api_init(struct api *api);
void api_fini(struct api *api);
void *api_keep(struct api *api, size_t size); /* zeroed */
const char *api_text(struct api *api, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void api_error(struct api *api, struct place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
struct fn *api_find(struct api *api, const char *name);
struct type *api_find_type(struct api *api, const char *name);
struct fn **api_sorted(struct api *api, bool (*wanted)(const struct fn *),
    int (*compare)(const void *, const void *), size_t *n);
int fn_by_id(const void *left, const void *right); /* for api_sorted() */

bool fn_internal(const struct fn *fn);
bool fn_crosses(const struct fn *fn); /* has a record of its own: sync or async, not an alias */
bool fn_waits(const struct fn *fn);
bool fn_live(const struct fn *fn);
const char *fn_class_name(const struct fn *fn);
struct param *fn_wire(const struct fn *fn); /* the parameters that cross; skip late ones */
bool fn_has_outputs(const struct fn *fn);
bool fn_stream(const struct fn *fn); /* a stream is among the exported parameters */
bool fn_device(const struct fn *fn); /* a device is */

bool param_is_stream(const struct param *p);
bool param_crosses(const struct param *p);
bool param_is_run(const struct param *p);      /* a counted run of bytes */
bool param_is_one(const struct param *p);      /* a pointer to one element */
bool param_is_sent(const struct param *p);     /* what it points to is in the record */
bool param_is_returned(const struct param *p); /* ... is in the reply */
bool param_has_room(const struct param *p);    /* returned run whose count the callee changes */

/* lex.c */
enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_MARK };

struct token {
	enum token_kind kind;
	const char *text;
	uint64_t number;
	struct place place;
};

struct lexer {
	struct api *api;
	const char *at, *end;
	struct place place;
};

struct token lex_next(struct lexer *lexer);

/* parse.c: adds a file's definitions. text need not end with a zero. */
void api_parse(struct api *api, const char *file, const char *text, size_t size);
/* Marks the functions a list names, one a line. */
void api_parse_live(struct api *api, const char *file, const char *text, size_t size);

/* check.c: resolves names; true when the interface is sound. */
bool api_check(struct api *api);
