/* Drawing a graph in the language of Graphviz: a cluster per graph, its nodes and edges. */
#include "softgpu/driver/driver.h"

#include <stdio.h>

#include "softgpu/driver/graph.h"
#include "softgpu/driver/module.h"

struct drawing {
	FILE *file;
	unsigned flags;
};

static bool shows(const struct drawing *drawing, unsigned flag)
{
	return drawing->flags & (flag | CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE);
}

static const char *type_name(CUgraphNodeType type)
{
	static const char *const names[] = {"KERNEL", "MEMCPY", "MEMSET", "HOST", "GRAPH", "EMPTY",
	    "WAIT_EVENT", "EVENT_RECORD", "EXT_SEMAS_SIGNAL", "EXT_SEMAS_WAIT", "MEM_ALLOC",
	    "MEM_FREE", "BATCH_MEM_OP", "CONDITIONAL"};

	return names[type];
}

static void draw_kernel(const struct drawing *drawing, const CUDA_KERNEL_NODE_PARAMS_v3 *kernel)
{
	const struct sg_function *function = sg_function_get(kernel->func);

	fprintf(drawing->file, "\\n%s", function ? function->info->name : "?");
	if (shows(drawing, CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_PARAMS))
		fprintf(drawing->file, "\\n{%u,%u,%u} x {%u,%u,%u}, %u bytes shared",
		    kernel->gridDimX, kernel->gridDimY, kernel->gridDimZ, kernel->blockDimX,
		    kernel->blockDimY, kernel->blockDimZ, kernel->sharedMemBytes);
}

static void draw_details(const struct drawing *drawing, const struct sg_node *node)
{
	const CUDA_MEMCPY3D *copy = &node->params.memcpy.copyParams;

	if (node->type == CU_GRAPH_NODE_TYPE_KERNEL)
		draw_kernel(drawing, &node->params.kernel);
	if (node->type == CU_GRAPH_NODE_TYPE_MEMCPY &&
	    shows(drawing, CU_GRAPH_DEBUG_DOT_FLAGS_MEMCPY_NODE_PARAMS))
		fprintf(drawing->file, "\\n%zu x %zu x %zu bytes", copy->WidthInBytes, copy->Height,
		    copy->Depth);
	if (node->type == CU_GRAPH_NODE_TYPE_MEMSET &&
	    shows(drawing, CU_GRAPH_DEBUG_DOT_FLAGS_MEMSET_NODE_PARAMS))
		fprintf(drawing->file, "\\n0x%llx = 0x%x, %zu x %zu of %u bytes",
		    (unsigned long long)node->params.memset.dst, node->params.memset.value,
		    node->params.memset.width, node->params.memset.height,
		    node->params.memset.elementSize);
	if (shows(drawing, CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES))
		fprintf(drawing->file, "\\n%p", (void *)node->handle);
}

static void draw_graph(const struct drawing *drawing, const struct sg_graph *graph)
{
	fprintf(drawing->file, "subgraph \"cluster_%p\" {\n", (void *)graph->handle);
	for (size_t i = 0; i < graph->n_nodes; i++) {
		const struct sg_node *node = graph->nodes[i];

		fprintf(drawing->file, "\"n%llu\" [shape=box, label=\"%zu\\n%s",
		    (unsigned long long)node->id, i, type_name(node->type));
		draw_details(drawing, node);
		fprintf(drawing->file, "\"];\n");
		for (size_t e = 0; e < node->n_edges; e++)
			fprintf(drawing->file, "\"n%llu\" -> \"n%llu\";\n",
			    (unsigned long long)node->edges[e].from->id,
			    (unsigned long long)node->id);
		for (unsigned b = 0; b < node->n_bodies; b++)
			draw_graph(drawing, node->bodies[b]);
	}
	fprintf(drawing->file, "}\n");
}

CUresult cuGraphDebugDotPrint(CUgraph handle, const char *path, unsigned flags)
{
	const struct sg_graph *graph = sg_graph_get(handle);
	CUresult r = sg_enter();

	if (r == CUDA_SUCCESS && (!graph || !path))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r != CUDA_SUCCESS)
		return r;
	struct drawing drawing = {fopen(path, "we"), flags};
	if (!drawing.file)
		return CUDA_ERROR_OPERATING_SYSTEM;
	fprintf(drawing.file, "digraph dot {\n");
	draw_graph(&drawing, graph);
	fprintf(drawing.file, "}\n");
	return fclose(drawing.file) ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}
