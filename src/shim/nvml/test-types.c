/* Our declarations of NVML's types against NVIDIA's header. */
#include "base/test.h"
#include "shim/nvml/test-facts.h"

TEST(every_fact_is_nvidias)
{
	CHECK_EQ(nvml_facts_ours.n_rows, nvml_facts_theirs.n_rows);
	for (size_t i = 0; i < nvml_facts_ours.n_rows; i++) {
		const struct nvml_fact *ours = &nvml_facts_ours.rows[i];
		const struct nvml_fact *theirs = &nvml_facts_theirs.rows[i];

		CHECK_STR(ours->what, theirs->what);
		if (ours->value != theirs->value)
			test_fail(__FILE__, __LINE__, "%s is %lld, in NVIDIA's header %lld",
			    ours->what, ours->value, theirs->value);
	}
}
