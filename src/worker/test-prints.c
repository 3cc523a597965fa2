/*
 * Which images can print, and which waits synchronise because of them.
 */
#include <elf.h>
#include <zstd.h>

#include "base/clock.h"
#include "base/test.h"
#include "worker/code_prints.h"
#include "worker/test-client.h"

#define SILENT_PTX  ".version 8.0\n.target sm_80\n.entry f() { ret; }\n"
#define PRINTER_PTX ".version 8.0\n.target sm_80\n.extern .func (.param .b32 r) vprintf;\n"

/* --- images --- */

struct bytes {
	uint8_t at[4096];
	size_t size;
};

/* A cubin with one string table and, if wanted, one symbol table. */
static struct bytes cubin(const char *string, bool symbols, unsigned machine)
{
	struct bytes out = {.size = 1024};
	Elf64_Ehdr header = {.e_machine = (Elf64_Half)machine,
	    .e_shoff = sizeof(header),
	    .e_shentsize = sizeof(Elf64_Shdr),
	    .e_shnum = 3};
	Elf64_Shdr sections[3] = {{0},
	    {.sh_type = SHT_STRTAB, .sh_offset = 512, .sh_size = strlen(string) + 1},
	    {.sh_type = symbols ? SHT_SYMTAB : SHT_PROGBITS, .sh_offset = 640, .sh_size = 48}};

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(out.at, &header, sizeof(header));
	memcpy(out.at + sizeof(header), sections, sizeof(sections));
	strcpy((char *)out.at + 512, string);
	return out;
}

static void put(uint8_t *at, uint64_t value, size_t size)
{
	memcpy(at, &value, size);
}

static void add(struct bytes *fatbin, uint16_t kind, uint32_t sm, const void *data, size_t size)
{
	uint8_t packed[2048], *at;
	size_t packed_size = ZSTD_compress(packed, sizeof(packed), data, size, 1);

	CHECK(!ZSTD_isError(packed_size));
	fatbin->size = fatbin->size ?: 16;
	at = fatbin->at + fatbin->size;
	put(at, kind, 2);
	put(at + 4, 64, 4);
	put(at + 8, align_up(packed_size, 8), 4);
	put(at + 16, packed_size, 4);
	put(at + 28, sm, 4);
	put(at + 40, ABI_MEMBER_64BIT | ABI_MEMBER_ZSTD, 8);
	put(at + 56, size, 8);
	memcpy(at + 64, packed, packed_size);
	fatbin->size += 64 + align_up(packed_size, 8);
	put(fatbin->at, ABI_FATBIN_MAGIC, 4);
	put(fatbin->at + 4, 1 | 16 << 16, 4);
	put(fatbin->at + 8, fatbin->size - 16, 8);
}

static void add_text(struct bytes *fatbin, uint32_t sm, const char *text)
{
	add(fatbin, ABI_MEMBER_PTX, sm, text, strlen(text) + 1);
}

static void add_cubin(struct bytes *fatbin, uint32_t sm, const char *string)
{
	struct bytes elf = cubin(string, true, EM_CUDA);

	add(fatbin, ABI_MEMBER_ELF, sm, elf.at, elf.size);
}

static bool prints_on(const void *bytes, size_t size, unsigned capability)
{
	struct abi_image image;

	CHECK_EQ(abi_image_measure(bytes, size, &image), 0);
	return code_prints(&image, &capability, 1);
}

TEST(prints_text_that_names_vprintf)
{
	CHECK(!prints_on(SILENT_PTX, sizeof(SILENT_PTX), 90));
	CHECK(prints_on(PRINTER_PTX, sizeof(PRINTER_PTX), 90));
}

TEST(prints_machine_code_that_names_vprintf)
{
	struct bytes silent = cubin("kernel", true, EM_CUDA);
	struct bytes printer = cubin("vprintf", true, EM_CUDA);
	struct bytes bare = cubin("kernel", false, EM_CUDA), other = cubin("kernel", true, EM_386);

	CHECK(!prints_on(silent.at, silent.size, 90));
	CHECK(prints_on(printer.at, printer.size, 90));
	/* Without symbols, or not of this GPU: nobody can tell. */
	CHECK(prints_on(bare.at, bare.size, 90));
	CHECK(prints_on(other.at, other.size, 90));
}

TEST(prints_fatbin_looks_at_what_the_device_may_run)
{
	struct bytes fatbin = {.size = 0}, other = {.size = 0}, unpackable = {.size = 0};
	unsigned both[] = {90, 75};
	struct abi_image image;

	add_cubin(&fatbin, 75, "vprintf");
	add_cubin(&fatbin, 90, "kernel");
	add_text(&fatbin, 80, SILENT_PTX);
	CHECK(!prints_on(fatbin.at, fatbin.size, 90));
	CHECK(prints_on(fatbin.at, fatbin.size, 75));
	CHECK_EQ(abi_image_measure(fatbin.at, fatbin.size, &image), 0);
	CHECK(code_prints(&image, both, 2));
	CHECK(code_prints(&image, both, 0));
	/* The driver may be told to compile the text although there is machine code. */
	add_text(&fatbin, 85, PRINTER_PTX);
	CHECK(prints_on(fatbin.at, fatbin.size, 90));
	/* Nothing for this device that can be read here. */
	add(&other, ABI_MEMBER_LTO, 90, "bitcode", 8);
	CHECK(prints_on(other.at, other.size, 90));
	add_text(&unpackable, 80, SILENT_PTX);
	memset(unpackable.at + 16 + 64, 0x55, 16);
	CHECK(prints_on(unpackable.at, unpackable.size, 90));
}

/* --- waits --- */

static const struct worker_options quiet = {
    .arena = true, .quiet_waits = true, .await_ns = 60 * NSEC_PER_SEC};

static CUmodule load_module(struct test_client *t, uint32_t index, const char *image)
{
	CUmodule module = (CUmodule)handle_id(false, HANDLE_MODULE, 1, index), id = module;
	struct args_cuModuleLoadDataEx a = {
	    .module = &module, .image = image, .image_bytes = strlen(image) + 1};

	CHECK_EQ(CALL(t, cuModuleLoadDataEx, &a), CUDA_SUCCESS);
	return id;
}

static CUfunction function_of(struct test_client *t, CUmodule module)
{
	CUfunction function = NULL;
	struct args_cuModuleGetFunction a = {.function = &function, .module = module, .name = "f"};

	CHECK_EQ(CALL(t, cuModuleGetFunction, &a), CUDA_SUCCESS);
	return function;
}

static CUfunction load(struct test_client *t, const char *image)
{
	return function_of(t, load_module(t, 1, image));
}

/* How often a wait for stream made the backend synchronise. */
static unsigned wait_for(struct test_client *t, CUstream stream)
{
	struct args_cuStreamSynchronize a = {.stream = stream};
	unsigned before = fake.synchronised;

	CHECK_EQ(CALL(t, cuStreamSynchronize, &a), CUDA_SUCCESS);
	return fake.synchronised - before;
}

TEST(prints_waits_for_silent_code_do_not_synchronise)
{
	struct test_client t = client_start(&quiet);
	CUstream stream = client_stream(&t, 1);

	client_launch(&t, load(&t, SILENT_PTX), stream);
	CHECK_EQ(wait_for(&t, stream), 0);
	client_stop(&t, NULL);
}

TEST(prints_waits_synchronise_until_the_stream_did)
{
	struct test_client t = client_start(&quiet);
	CUstream stream = client_stream(&t, 1), other = client_stream(&t, 2);
	CUfunction function = load(&t, PRINTER_PTX);

	CHECK_EQ(wait_for(&t, stream), 0);
	client_launch(&t, function, stream);
	CHECK_EQ(wait_for(&t, other), 1);
	CHECK_EQ(wait_for(&t, other), 1);
	CHECK_EQ(wait_for(&t, stream), 1);
	CHECK_EQ(wait_for(&t, stream), 0);
	CHECK_EQ(wait_for(&t, other), 0);
	client_stop(&t, NULL);
}

TEST(prints_waits_for_events_synchronise_too)
{
	struct test_client t = client_start(&quiet);
	uint64_t event = handle_id(false, HANDLE_EVENT, 1, 1);
	struct args_cuEventCreate create = {.event = (CUevent *)&event};
	struct args_cuEventSynchronize wait = {
	    .event = (CUevent)handle_id(false, HANDLE_EVENT, 1, 1)};

	client_launch(&t, load(&t, PRINTER_PTX), NULL);
	POST(&t, cuEventCreate, &create);
	CHECK_EQ(CALL(&t, cuEventSynchronize, &wait), CUDA_SUCCESS);
	CHECK_EQ(fake.synchronised, 1);
	CHECK_EQ(wait_for(&t, NULL), 1);
	CHECK_EQ(wait_for(&t, CU_STREAM_LEGACY), 0);
	client_stop(&t, NULL);
}

TEST(prints_more_streams_than_are_noted)
{
	struct test_client t = client_start(&quiet);
	CUfunction function = load(&t, PRINTER_PTX);
	CUstream streams[40];

	for (unsigned i = 0; i < 40; i++) {
		streams[i] = client_stream(&t, i + 1);
		client_launch(&t, function, streams[i]);
	}
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(wait_for(&t, streams[i]), 1);
	client_stop(&t, NULL);
}

TEST(prints_unloading_forgets_what_was_silent)
{
	struct test_client t = client_start(&quiet);
	CUmodule silent = load_module(&t, 1, SILENT_PTX), printer = load_module(&t, 2, PRINTER_PTX);
	struct args_cuModuleUnload unload = {.module = printer};

	client_launch(&t, function_of(&t, silent), NULL);
	CHECK_EQ(wait_for(&t, NULL), 0);
	CHECK_EQ(CALL(&t, cuModuleUnload, &unload), CUDA_SUCCESS);
	/* Any handle may be another object's by now. */
	client_launch(&t, function_of(&t, silent), NULL);
	CHECK_EQ(wait_for(&t, NULL), 1);
	client_stop(&t, NULL);
}

TEST(prints_switched_off_synchronises_every_wait)
{
	struct worker_options loud = {.arena = true, .await_ns = 60 * NSEC_PER_SEC};
	struct test_client t = client_start(&loud);

	client_launch(&t, load(&t, SILENT_PTX), NULL);
	CHECK_EQ(wait_for(&t, NULL), 1);
	CHECK_EQ(wait_for(&t, NULL), 1);
	client_stop(&t, NULL);
}
