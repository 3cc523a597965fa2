/*
 * The table of textures and surfaces. Slots lie in one region reserved at the first use, filled
 * with zero pages by the kernel; freed slots queue up, so that a number comes back as late as
 * possible.
 *
 * Looking up takes no lock: kernels do it for every texel they read. A slot's tag is its number
 * while it lives, written last when it is made and first when it ends.
 */
#include "softgpu/exec/texture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "base/util.h"
#include "softgpu/exec/machine.h"
#include "softgpu/ptx/ptx.h"

#define SLOTS		 (1u << 20)
#define GENERATIONS	 4096u
#define SLOTS_BEFORE_OLD 1024u /* new slots are taken first, up to here */

struct slot {
	atomic_uint tag; /* 0: free */
	uint32_t generation;
	uint32_t next_free;
	struct sg_texture texture;
};

static struct slot *_Atomic slots;
static uint32_t used = 1; /* number 0 is never given out */
static uint32_t free_first, free_last;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock; NULL: no memory. */
static struct slot *table(void)
{
	struct slot *all = atomic_load_explicit(&slots, memory_order_relaxed);

	if (!all) {
		all = mmap(NULL, SLOTS * sizeof(*all), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (all == MAP_FAILED)
			return NULL;
		/* Release: whoever sees the region sees its zero pages; acquired by find(). */
		atomic_store_explicit(&slots, all, memory_order_release);
	}
	return all;
}

/* Under the lock; 0: none left. */
static uint32_t take_slot(struct slot *all)
{
	uint32_t index = 0;

	if (used < SLOTS && (used < SLOTS_BEFORE_OLD || !free_first)) {
		index = used++;
	} else if (free_first) {
		index = free_first;
		free_first = all[index].next_free;
	}
	return index;
}

uint64_t sg_texture_new(const struct sg_texture *texture)
{
	uint32_t index = 0, number = 0;

	pthread_mutex_lock(&lock);
	struct slot *all = table();
	if (all)
		index = take_slot(all);
	if (index) {
		struct slot *slot = &all[index];
		number = slot->generation * SLOTS | index;
		slot->texture = *texture;
		/* Release: a thread that finds the number sees the description; see find(). */
		atomic_store_explicit(&slot->tag, number, memory_order_release);
	}
	pthread_mutex_unlock(&lock);
	return number;
}

static struct slot *find(uint64_t number)
{
	struct slot *all = atomic_load_explicit(&slots, memory_order_acquire);

	if (!all || !number || number > UINT32_MAX)
		return NULL;
	struct slot *slot = &all[number % SLOTS];
	/* Acquire: pairs with the release in sg_texture_new(). */
	return atomic_load_explicit(&slot->tag, memory_order_acquire) == number ? slot : NULL;
}

void sg_texture_set(uint64_t number, const struct sg_texture *texture)
{
	struct slot *slot = find(number);

	if (slot)
		slot->texture = *texture;
}

const struct sg_texture *sg_texture_get(uint64_t number, bool is_surface)
{
	const struct slot *slot = find(number);

	return slot && slot->texture.is_surface == is_surface ? &slot->texture : NULL;
}

void sg_texture_free(uint64_t number)
{
	pthread_mutex_lock(&lock);
	struct slot *slot = find(number);
	if (slot) {
		uint32_t index = (uint32_t)number % SLOTS;
		/* Relaxed: a kernel that still uses it is the program's mistake. */
		atomic_store_explicit(&slot->tag, 0, memory_order_relaxed);
		slot->generation = (slot->generation + 1) % GENERATIONS;
		slot->next_free = 0;
		if (free_first)
			atomic_load_explicit(&slots, memory_order_relaxed)[free_last].next_free =
			    index;
		else
			free_first = index;
		free_last = index;
	}
	pthread_mutex_unlock(&lock);
}

/* ---- operands of instructions ---- */

/* A variable's value in place of its address. What is not mapped is caught by the fault handler. */
static uint64_t resolve(struct sg_lane *lane, uint64_t operand)
{
	if (operand - SG_ARENA_BASE >= SG_ARENA_SIZE)
		return operand;
	if (operand % sizeof(uint64_t))
		machine_fault(lane, SG_FAULT_MISALIGNED, operand, false);
	return *(const uint64_t *)operand;
}

const struct sg_texture *texture_operand(struct sg_lane *lane, uint64_t operand, bool is_surface)
{
	const struct sg_texture *texture = sg_texture_get(resolve(lane, operand), is_surface);

	if (!texture)
		machine_fault(lane, SG_FAULT_ILLEGAL_ADDRESS, operand, false);
	return texture;
}

const struct sg_sampler *texture_sampler(struct sg_lane *lane, const struct sg_texture *texture,
    uint64_t operand, struct sg_sampler *own)
{
	uint64_t value = operand ? resolve(lane, operand) : 0;

	if (!operand)
		return &texture->sampler;
	if (!(value & PTX_SAMPLER_VALID))
		return &texture_operand(lane, operand, false)->sampler;
	*own = texture->sampler;
	own->is_linear = value & PTX_SAMPLER_LINEAR;
	if (value & PTX_SAMPLER_UNNORMALIZED)
		own->is_normalized = false;
	for (unsigned axis = 0; axis < 3; axis++)
		own->address_mode[axis] = (enum sg_address_mode)(
		    value >> PTX_SAMPLER_MODE_SHIFT(axis) & PTX_SAMPLER_MODE_MASK);
	return own;
}

static uint32_t blocks_along(const struct sg_texels *image, uint32_t size, uint32_t level)
{
	uint32_t all =
	    image->is_view ? MAX(size / SG_BLOCK_SIDE >> level, 1u) : MAX(size >> level, 1u);

	return image->is_view ? all : (all + SG_BLOCK_SIDE - 1) / SG_BLOCK_SIDE;
}

static void compressed_level_get(
    const struct sg_texels *image, uint32_t level, struct texture_level *geometry)
{
	uint32_t columns = blocks_along(image, image->width, level);
	uint32_t rows = blocks_along(image, image->height, level);

	geometry->width = MIN(geometry->width, columns * SG_BLOCK_SIDE);
	geometry->height = MIN(geometry->height, rows * SG_BLOCK_SIDE);
	geometry->pitch = (uint64_t)columns * sg_blocks_bytes(image->blocks);
	geometry->slice = geometry->pitch * rows;
}

void texture_level_get(
    const struct sg_texels *image, uint32_t level, struct texture_level *geometry)
{
	*geometry = (struct texture_level){
	    .address = image->levels[level],
	    .width = MAX(image->width >> level, 1u),
	    .height = MAX(image->height >> level, 1u),
	    .depth = MAX(image->depth >> level, 1u),
	};
	if (image->blocks) {
		compressed_level_get(image, level, geometry);
		return;
	}
	geometry->pitch = !level && image->pitch ? image->pitch
						 : (uint64_t)geometry->width * image->n_channels *
						       image->channel_bytes;
	geometry->slice = geometry->pitch * geometry->height;
}
