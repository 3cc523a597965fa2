/*
 * That every form of an instruction either runs or is refused by name, line and opcode, and that
 * what ptxas takes we read. What the instructions compute is opcodes.def's to say.
 */
#include "softgpu/exec/ptxas.h"
#include "softgpu/exec/test-machine.h"

struct form {
	const char *architecture;
	bool runs;
	const char *code;
};

#define FORM(architecture, runs, code) {#architecture, runs, code},
static const struct form forms[] = {
#include "softgpu/exec/forms.def"
};

#define LINE "ptx:5: " /* of the instruction */

static void write_head(const char *architecture, char *text, size_t size)
{
	snprintf(text, size, ".version 9.0\n.target %s\n.address_size 64\n", architecture);
}

/* In two lines; number tells the kernels of a module apart. */
static void write_kernel(const struct form *form, size_t number, char *text, size_t size)
{
	snprintf(text, size,
	    ".visible .entry k%zu(.param .align 64 .b8 prm[128]) { .reg .b8 %%b<9>; .reg .b16 "
	    "%%h<9>; "
	    ".reg .b32 %%r<20>; .reg .b64 %%d<9>; .reg .b128 %%q<4>; .reg .pred %%p<8>; "
	    ".shared .align 128 .b8 s[128];\n%s ret; }\n",
	    number, form->code);
}

static unsigned check_form(const struct form *form)
{
	char text[2048];
	struct sg_module *module;
	struct sg_log log = {.text = machine_log, .capacity = sizeof(machine_log)};
	int wanted = form->runs ? 0 : SG_MODULE_UNSUPPORTED, r;

	write_head(form->architecture, text, sizeof(text));
	write_kernel(form, 0, text + strlen(text), sizeof(text) - strlen(text));
	n_loaded = 0; /* kept no longer than this */
	r = module_try(text, &module);
	if (!r) {
		r = sg_kernel_prepare(sg_module_kernel(module, "k0"), &log);
		sg_module_unload(module);
		n_loaded = 0;
	}
	if (r == SG_MODULE_NO_COMPILER)
		SKIP("softgpu-llvm.so is missing");
	if (r == wanted && (form->runs || strstr(machine_log, LINE)))
		return 0;
	printf("# %s: %d, wanted %d: %s\n", form->code, r, wanted, machine_log);
	return 1;
}

TEST_LIMIT(forms_run_or_are_refused, 240)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++)
		wrong += check_form(&forms[i]);
	CHECK_EQ(wrong, 0);
}

TEST_LIMIT(ptxas_takes_all_forms, 240)
{
	static const char *const architectures[] = {
	    "sm_90", "sm_90a", "sm_100a", "sm_103a", "sm_120a"};
	static char text[256 << 10];

	for (size_t a = 0; a < ARRAY_SIZE(architectures); a++) {
		write_head(architectures[a], text, sizeof(text));
		for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
			size_t used = strlen(text);

			if (!strcmp(forms[i].architecture, architectures[a]))
				write_kernel(&forms[i], i, text + used, sizeof(text) - used);
		}
		ptxas_check(text, architectures[a]);
	}
}
