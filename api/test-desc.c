/*
 * The interface as a whole: the numbers the project promises, and that the rows agree with each
 * other. What each function's record looks like is the business of the generated codec tests.
 */
#include "base/test.h"
#include "gen/api_desc.h"

/* Exported by libcuda.so.1 of CUDA 13.0. */
#define N_EXPORTED 637
#define LIVE_MIN   250

static bool exported(const struct api_desc *desc)
{
	return !(desc->flags & API_F_INTERNAL);
}

TEST(all_functions_are_defined)
{
	unsigned n_exported = 0, n_live = 0;

	for (size_t i = 0; i < API_N_FUNCTIONS; i++) {
		if (!exported(&api_desc[i]))
			continue;
		n_exported++;
		if (api_desc[i].class != API_NOSUP)
			n_live++;
	}
	CHECK_EQ(n_exported, N_EXPORTED);
	CHECK(n_live >= LIVE_MIN);
}

TEST(names_are_unique)
{
	for (size_t i = 0; i < API_N_FUNCTIONS; i++)
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(api_desc[i].name, api_desc[j].name));
}

/* A function that crosses is found by its id, and has a round-trip test. */
TEST(what_crosses_has_an_id_and_a_test)
{
	for (size_t i = 0; i < API_N_FUNCTIONS; i++) {
		const struct api_desc *desc = &api_desc[i];
		bool crosses = desc->class == API_SYNC || desc->class == API_ASYNC;

		CHECK_EQ(desc->id != 0, crosses);
		if (!crosses)
			continue;
		CHECK_STR(api_desc_by_id(desc->id)->name, desc->base ?: desc->name);
		CHECK((api_desc_by_id(desc->id)->flags & API_F_CODEC_TEST) != 0);
	}
	CHECK(!api_desc_by_id(0));
	CHECK(!api_desc_by_id(0xffff));
}

TEST(twins_are_like_their_base)
{
	for (size_t i = 0; i < API_N_FUNCTIONS; i++) {
		const struct api_desc *desc = &api_desc[i], *base = NULL;

		if (!(desc->flags & API_F_ALIAS))
			continue;
		for (size_t j = 0; j < API_N_FUNCTIONS; j++)
			if (!strcmp(api_desc[j].name, desc->base))
				base = &api_desc[j];
		CHECK(base && !(base->flags & API_F_ALIAS));
		CHECK_EQ(desc->class, base->class);
		CHECK_EQ(desc->id, base->id);
	}
}
