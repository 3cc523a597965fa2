/*
 * Where lanes go: the edges between blocks.
 *
 * On an edge to a block that lanes may wait at, the running lanes join those that wait there, and
 * control goes to the lowest block at which anybody waits. Which blocks that may be is known per
 * edge, and it is rarely more than the branch's own targets. A branch all lanes take together stays
 * a branch.
 */
#include <stdio.h>

#include "softgpu/exec/lane.h"
#include "softgpu/jit/warp/warp.h"

static bool is_join(const struct warp *warp, uint32_t block)
{
	return bits_has(warp->facts.joins, block);
}

static uint32_t exit_of(const struct warp *warp)
{
	return warp->facts.flow.exit;
}

void print_pending(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;

	for (uint32_t b = 0; b < warp->facts.flow.n_blocks; b++)
		if (is_join(warp, b))
			text_format(&emit->prologue,
			    "  %%pend.%u = alloca i%u\n  store i%u 0, ptr %%pend.%u\n", b, width,
			    width, b);
}

void warp_block_begin(struct warp *warp, uint32_t block)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;

	warp->block = block;
	text_format(&emit->body, "F%u:\n", block);
	emit->open = true;
	if (is_join(warp, block)) {
		struct value waiting = emit_value(emit, "load i%u, ptr %%pend.%u", width, block);

		emit_line(emit, "store i%u 0, ptr %%pend.%u", width, block);
		emit_line(emit, "store i%u %s, ptr %%mask", width, waiting.text);
	}
	emit_line(emit, "%%m%u.i = load i%u, ptr %%mask", block, width);
	emit_line(emit, "%%m%u = bitcast i%u %%m%u.i to <%u x i1>", block, width, block, width);
	snprintf(warp->mask.text, sizeof(warp->mask.text), "%%m%u", block);
	warp->may_be_none = false;
	warp->spares = bits_has(warp->facts.partial, block);
}

static struct value running(struct warp *warp)
{
	if (warp->ranges.are_used)
		return (struct value){"-1"};
	return emit_value(&warp->emit, "load i%u, ptr %%mask", warp->facts.width);
}

static void wait_at(struct warp *warp, uint32_t block, struct value lanes)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct value before = emit_value(emit, "load i%u, ptr %%pend.%u", width, block);

	before = emit_value(emit, "or i%u %s, %s", width, before.text, lanes.text);
	emit_line(emit, "store i%u %s, ptr %%pend.%u", width, before.text, block);
}

static void go_if_waiting(struct warp *warp, uint32_t block)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	uint32_t next = emit_new_block(emit);
	struct value waiting = emit_value(emit, "load i%u, ptr %%pend.%u", width, block);

	waiting = emit_value(emit, "icmp ne i%u %s, 0", width, waiting.text);
	emit_line(emit, "br i1 %s, label %%F%u, label %%b%u", waiting.text, block, next);
	text_format(&emit->body, "b%u:\n", next);
}

static bool is_between(const struct warp *warp, uint32_t from, uint32_t to, uint32_t block)
{
	const struct flow_block *blocks = warp->facts.flow.blocks;

	return blocks[block].place > blocks[from].place &&
	       (to == exit_of(warp) || blocks[block].place < blocks[to].place) &&
	       facts_may_wait(&warp->facts, from, block);
}

/* The running lanes are done; whoever waits goes on, or the warp ends. */
static void leave(struct warp *warp, struct value lanes)
{
	const struct flow *flow = &warp->facts.flow;
	struct emit *emit = &warp->emit;

	if (warp->needs_fibers)
		emit_line(emit, "call void @sg_warp_leave(ptr %%lane, i32 %s)",
		    integer_count(warp, lanes).text);
	for (uint32_t i = 0; i < flow->n_ordered; i++)
		if (is_join(warp, flow->order[i]) &&
		    facts_may_wait(&warp->facts, warp->block, flow->order[i]))
			go_if_waiting(warp, flow->order[i]);
	emit_line(emit, "ret void");
	emit->open = false;
}

static void look_back(struct warp *warp, uint32_t to)
{
	const struct flow *flow = &warp->facts.flow;

	emit_stop_check(&warp->emit);
	if (flow->loops[flow->blocks[to].loop].polls && warp->needs_fibers)
		emit_line(&warp->emit, "call void @sg_poll(ptr %%lane)");
}

/* Lanes go from the current block to another: all that still run. */
static void go(struct warp *warp, uint32_t to, struct value lanes)
{
	const struct flow *flow = &warp->facts.flow;

	if (to == exit_of(warp)) {
		leave(warp, lanes);
		return;
	}
	if (flow_is_back_edge(flow, warp->block, to))
		look_back(warp, to);
	if (is_join(warp, to)) {
		wait_at(warp, to, lanes);
		for (uint32_t i = 0; i < flow->n_ordered; i++)
			if (is_join(warp, flow->order[i]) &&
			    is_between(warp, warp->block, to, flow->order[i]))
				go_if_waiting(warp, flow->order[i]);
	}
	emit_line(&warp->emit, "br label %%F%u", to);
	warp->emit.open = false;
}

/* A branch whose ways lanes take apart. */
struct parting {
	uint32_t targets[2];
	struct value lanes[2];
};

static bool is_target(const struct parting *parting, uint32_t block)
{
	return parting->targets[0] == block || parting->targets[1] == block;
}

/* Only one way goes on: the others' lanes are done. */
static void go_on_or_leave(struct warp *warp, const struct parting *parting, unsigned on)
{
	struct emit *emit = &warp->emit;
	uint32_t some = emit_new_block(emit), none = emit_new_block(emit);
	unsigned width = warp->facts.width;

	emit_line(emit, "store i%u %s, ptr %%mask", width, parting->lanes[on].text);
	emit_branch_if(emit, emit_value(emit, "icmp ne i%u %s, 0", width, parting->lanes[on].text),
	    some, none);
	text_format(&emit->body, "b%u:\n", none);
	leave(warp, parting->lanes[!on]);
	text_format(&emit->body, "b%u:\n", some);
	if (warp->needs_fibers)
		emit_line(emit, "call void @sg_warp_leave(ptr %%lane, i32 %s)",
		    integer_count(warp, parting->lanes[!on]).text);
	go(warp, parting->targets[on], parting->lanes[on]);
}

static void part(struct warp *warp, const struct parting *parting)
{
	const struct flow *flow = &warp->facts.flow;
	uint32_t last = FLOW_NONE;

	for (unsigned i = 0; i < 2; i++)
		if (parting->targets[i] == exit_of(warp)) {
			go_on_or_leave(warp, parting, !i);
			return;
		}
	for (unsigned i = 0; i < 2; i++) {
		if (!is_join(warp, parting->targets[i]))
			warp_refuse(warp, "lanes part to a block that is no join");
		if (flow_is_back_edge(flow, warp->block, parting->targets[i]))
			look_back(warp, parting->targets[i]);
		wait_at(warp, parting->targets[i], parting->lanes[i]);
	}
	for (uint32_t i = 0; i < flow->n_ordered; i++) {
		uint32_t block = flow->order[i];

		if (!is_join(warp, block) ||
		    (!is_target(parting, block) &&
			!is_between(warp, warp->block, parting->targets[0], block) &&
			!is_between(warp, warp->block, parting->targets[1], block)))
			continue;
		if (last != FLOW_NONE)
			go_if_waiting(warp, last);
		last = block;
	}
	emit_line(&warp->emit, "br label %%F%u", last);
	warp->emit.open = false;
}

static struct ptx_operand predicate_of(const struct ptx_instruction *in)
{
	return (struct ptx_operand){
	    .kind = PTX_OPERAND_REGISTER, .reg = in->predicate, .negated = in->predicate_negated};
}

static void branch_apart(struct warp *warp, uint32_t taken, uint32_t other)
{
	struct emit *emit = &warp->emit;
	unsigned width = warp->facts.width;
	struct ptx_operand predicate = predicate_of(emit->in);
	struct value condition = wide_get(warp, &predicate, IR_I1), all = running(warp);
	struct parting parting = {.targets = {taken, other}};

	/* A lane that does not run may have anything, which must not spoil the others' bits. */
	condition = emit_value(emit, "select <%u x i1> %s, <%u x i1> %s, <%u x i1> zeroinitializer",
	    width, warp->mask.text, width, condition.text, width);
	condition = emit_value(emit, "bitcast <%u x i1> %s to i%u", width, condition.text, width);
	parting.lanes[0] = emit_value(emit, "and i%u %s, %s", width, all.text, condition.text);
	condition = emit_value(emit, "xor i%u %s, -1", width, condition.text);
	parting.lanes[1] = emit_value(emit, "and i%u %s, %s", width, all.text, condition.text);
	part(warp, &parting);
}

static void branch_together(struct warp *warp, uint32_t taken, uint32_t other)
{
	struct emit *emit = &warp->emit;
	struct ptx_operand predicate = predicate_of(emit->in);
	uint32_t yes = emit_new_block(emit), no = emit_new_block(emit);

	emit_branch_if(emit, operand_get(emit, &predicate, IR_I1, false), yes, no);
	text_format(&emit->body, "b%u:\n", yes);
	go(warp, taken, running(warp));
	text_format(&emit->body, "b%u:\n", no);
	go(warp, other, running(warp));
}

static void branch_by_table(struct warp *warp)
{
	struct emit *emit = &warp->emit;
	const struct ptx_targets *targets = emit->in->operands[1].targets;
	struct value index;
	uint32_t first;

	if (warp->facts.parts[warp->block])
		warp_refuse(warp, "lanes part at a brx");
	if (emit->in->predicate != PTX_NO_REG)
		warp_refuse(warp, "a brx is predicated");
	index = source(emit, 0, PTX_TYPE_u32);
	first = emit->n_blocks;
	emit->n_blocks += targets->count;
	emit_line(emit, "switch i32 %s, label %%b%u [", index.text, first + targets->count - 1);
	for (uint32_t i = 0; i + 1 < targets->count; i++)
		emit_line(emit, "  i32 %u, label %%b%u", i, first + i);
	emit_line(emit, "]");
	for (uint32_t i = 0; i < targets->count; i++) {
		text_format(&emit->body, "b%u:\n", first + i);
		go(warp,
		    flow_target(&warp->facts.flow, warp->block,
			ptx_label_resolve(targets->labels[i].label)->position),
		    running(warp));
	}
}

/* Where the block's last instruction leads, when it is a branch or an end. */
static uint32_t taken_target(struct warp *warp)
{
	const struct ptx_instruction *in = warp->emit.in;

	if (in->opcode != PTX_OP_bra)
		return exit_of(warp);
	if (in->operands->kind != PTX_OPERAND_LABEL)
		emit_fail(&warp->emit, "bra takes a label");
	return flow_target(
	    &warp->facts.flow, warp->block, ptx_label_resolve(in->operands->label)->position);
}

void warp_block_end(struct warp *warp)
{
	const struct flow *flow = &warp->facts.flow;
	const struct flow_block *block = &flow->blocks[warp->block];
	const struct ptx_instruction *in;
	uint32_t taken, other;

	if (!warp->emit.open) /* trap */
		return;
	if (block->first == block->end) {
		go(warp, block->next[0], running(warp));
		return;
	}
	in = warp->emit.in = &flow->function->code[block->end - 1];
	if (in->opcode == PTX_OP_brx) {
		branch_by_table(warp);
		return;
	}
	other = block->end < flow->function->n_code ? flow_target(flow, warp->block, block->end)
						    : flow->exit;
	if (in->opcode != PTX_OP_bra && in->opcode != PTX_OP_ret && in->opcode != PTX_OP_exit) {
		go(warp, other, running(warp));
		return;
	}
	taken = taken_target(warp);
	if (in->predicate == PTX_NO_REG || taken == other)
		go(warp, taken, running(warp));
	else if (warp->facts.parts[warp->block])
		branch_apart(warp, taken, other);
	else
		branch_together(warp, taken, other);
}
