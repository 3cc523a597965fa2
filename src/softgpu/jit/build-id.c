/* Build IDs of what is loaded, from the notes in memory. Part of both the core and softgpu-llvm.so.
 */
#include "softgpu/jit/build-id.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "base/util.h"

struct search {
	uintptr_t address;
	uint8_t *id;
	size_t size;
};

static bool holds(const struct dl_phdr_info *info, uintptr_t address)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_LOAD &&
		    address - (info->dlpi_addr + segment->p_vaddr) < segment->p_memsz)
			return true;
	}
	return false;
}

static void read_notes(const uint8_t *notes, size_t size, size_t align, struct search *search)
{
	ElfW(Nhdr) note;

	for (size_t at = 0; at + sizeof(note) <= size;) {
		size_t name = at + sizeof(note), content, end;

		memcpy(&note, notes + at, sizeof(note));
		content = align_up(name + note.n_namesz, align);
		end = content + note.n_descsz;
		if (end > size)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    !memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU))) {
			search->size = MIN(note.n_descsz, BUILD_ID_MOST);
			memcpy(search->id, notes + content, search->size);
		}
		at = align_up(end, align);
	}
}

static int visit(struct dl_phdr_info *info, size_t info_size, void *context)
{
	struct search *search = context;

	if (!holds(info, search->address))
		return 0;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type == PT_NOTE)
			read_notes((const uint8_t *)(info->dlpi_addr + segment->p_vaddr),
			    segment->p_memsz, segment->p_align == 8 ? 8 : 4, search);
	}
	return 1;
}

size_t build_id_of(const void *address, uint8_t id[BUILD_ID_MOST])
{
	struct search search = {(uintptr_t)address, id, 0};

	dl_iterate_phdr(visit, &search);
	return search.size;
}
