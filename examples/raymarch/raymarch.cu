/*
 * A ray-marched scene: a sphere-world under a sun, with soft shadows, occlusion and a mirror. One
 * thread computes one pixel. raymarch.ptx is what clang-19 makes of this file (see Makefile),
 * checked in so that the demo runs on a machine with no CUDA compiler.
 */
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))

struct vec {
	float x, y, z;
};

static __device__ vec make(float x, float y, float z)
{
	vec v = {x, y, z};
	return v;
}
static __device__ vec operator+(vec a, vec b) { return make(a.x + b.x, a.y + b.y, a.z + b.z); }
static __device__ vec operator-(vec a, vec b) { return make(a.x - b.x, a.y - b.y, a.z - b.z); }
static __device__ vec operator*(vec a, float s) { return make(a.x * s, a.y * s, a.z * s); }
static __device__ vec operator*(vec a, vec b) { return make(a.x * b.x, a.y * b.y, a.z * b.z); }
static __device__ float dot(vec a, vec b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static __device__ float root(float x) { return __nvvm_sqrt_rn_f(x); }
static __device__ float length(vec a) { return root(dot(a, a)); }
static __device__ vec unit(vec a) { return a * (1.0f / length(a)); }
static __device__ float clamp(float x, float low, float high)
{
	return x < low ? low : x > high ? high : x;
}
static __device__ float mix(float a, float b, float t) { return a + (b - a) * t; }
static __device__ vec mix(vec a, vec b, float t) { return a + (b - a) * t; }
static __device__ float magnitude(float x) { return x < 0.0f ? -x : x; }
static __device__ float fraction(float x) { return x - __nvvm_floor_f(x); }

/* Smooth union of two distances: the bodies melt into each other over k. */
static __device__ float melt(float a, float b, float k)
{
	float h = clamp(0.5f + 0.5f * (b - a) / k, 0.0f, 1.0f);
	return mix(b, a, h) - k * h * (1.0f - h);
}

/* The funnel between two sheets of space: a circle's profile turned about the vertical axis. */
static __device__ float funnel(vec p)
{
	float r = root(p.x * p.x + p.z * p.z);
	float dx = r - 1.15f, dy = p.y - 1.0f;
	float throat = magnitude(root(dx * dx + dy * dy) - 0.72f) - 0.035f;
	float inside = r - 1.15f;
	return throat > inside ? throat : inside;
}

static __device__ float scene(vec p, int *what)
{
	float floor = p.y;
	float body = funnel(p);
	float ring = 1e9f;
	for (int i = 0; i < 5; i++) {
		float angle = 1.2566371f * (float)i + 0.5f;
		float c = __nvvm_cos_approx_f(angle), s = __nvvm_sin_approx_f(angle);
		vec q = p - make(2.0f * c, 0.38f, 2.0f * s);
		ring = melt(ring, length(q) - 0.38f, 0.05f);
	}
	float nearest = floor;
	*what = 0;
	if (body < nearest) {
		nearest = body;
		*what = 1;
	}
	if (ring < nearest) {
		nearest = ring;
		*what = 2;
	}
	return nearest;
}

static __device__ float march(vec from, vec way, int *what)
{
	float distance = 0.0f;
	for (int i = 0; i < 160 && distance < 40.0f; i++) {
		float step = scene(from + way * distance, what);
		if (step < 0.0008f * distance)
			return distance;
		distance += step * 0.85f;
	}
	return -1.0f;
}

static __device__ vec normal(vec p)
{
	int what;
	const float e = 0.0008f;
	float here = scene(p, &what);
	return unit(make(scene(p + make(e, 0, 0), &what) - here, scene(p + make(0, e, 0), &what) - here,
	    scene(p + make(0, 0, e), &what) - here));
}

static __device__ float shadow(vec p, vec way)
{
	float light = 1.0f, distance = 0.03f;
	int what;
	for (int i = 0; i < 48 && distance < 12.0f; i++) {
		float step = scene(p + way * distance, &what);
		light = clamp(light, 0.0f, 10.0f * step / distance);
		if (light < 0.005f)
			return 0.0f;
		distance += clamp(step, 0.02f, 0.4f);
	}
	return light;
}

static __device__ float occlusion(vec p, vec n)
{
	float hidden = 0.0f, weight = 0.5f;
	int what;
	for (int i = 1; i <= 5; i++) {
		float reach = 0.07f * (float)i;
		hidden += weight * (reach - scene(p + n * reach, &what));
		weight *= 0.7f;
	}
	return clamp(1.0f - 1.6f * hidden, 0.0f, 1.0f);
}

static __device__ vec sky(vec way, vec sun)
{
	float height = clamp(way.y, 0.0f, 1.0f), glow = clamp(dot(way, sun), 0.0f, 1.0f);
	vec colour = mix(make(0.86f, 0.80f, 0.72f), make(0.20f, 0.36f, 0.66f), root(height));
	for (int i = 0; i < 6; i++)
		glow *= glow;
	return colour + make(1.0f, 0.85f, 0.6f) * glow;
}

static __device__ vec shade(vec p, vec n, vec way, int what, vec sun)
{
	vec colour = make(0.62f, 0.60f, 0.56f);
	if (what == 0) {
		int dark = (fraction(p.x * 0.5f) < 0.5f) != (fraction(p.z * 0.5f) < 0.5f);
		colour = dark ? make(0.30f, 0.31f, 0.34f) : make(0.72f, 0.70f, 0.66f);
	}
	if (what == 1)
		colour = make(0.80f, 0.42f, 0.16f);
	if (what == 2)
		colour = make(0.16f, 0.44f, 0.62f);
	float sunlight = clamp(dot(n, sun), 0.0f, 1.0f) * shadow(p + n * 0.003f, sun);
	float open = occlusion(p, n);
	vec light = make(1.25f, 1.10f, 0.88f) * sunlight + make(0.24f, 0.32f, 0.46f) * open +
		    make(0.14f, 0.11f, 0.08f) * (open * clamp(0.5f - 0.5f * n.y, 0.0f, 1.0f));
	vec half = unit(sun - way);
	float shine = clamp(dot(n, half), 0.0f, 1.0f);
	for (int i = 0; i < 5; i++)
		shine *= shine;
	return colour * light + make(1.0f, 0.95f, 0.85f) * (what ? 0.6f * shine * sunlight : 0.0f);
}

static __device__ vec trace(vec from, vec way, vec sun)
{
	vec colour = make(0, 0, 0);
	float weight = 1.0f;
	for (int bounce = 0; bounce < 2; bounce++) {
		int what = 0;
		float distance = march(from, way, &what);
		if (distance < 0.0f)
			return colour + sky(way, sun) * weight;
		vec p = from + way * distance, n = normal(p);
		float fog = clamp(distance / 40.0f, 0.0f, 1.0f);
		vec seen = mix(shade(p, n, way, what, sun), sky(way, sun), fog * fog);
		float facing = 1.0f - clamp(-dot(n, way), 0.0f, 1.0f);
		float mirror = bounce ? 0.0f : (what ? 0.10f : 0.05f) + 0.5f * facing * facing * facing;
		colour = colour + seen * (weight * (1.0f - mirror));
		weight *= mirror;
		if (weight < 0.01f)
			break;
		from = p + n * 0.004f;
		way = way - n * (2.0f * dot(way, n));
	}
	return colour;
}

static __device__ unsigned char quantise(float x)
{
	return (unsigned char)(255.0f * root(clamp(x / (0.85f + x) * 1.40f, 0.0f, 1.0f)) + 0.5f);
}

/* Rows first to first + rows - 1 of a width by height picture, 3 bytes a pixel, samples^2 rays
 * each. */
extern "C" __global__ void render(unsigned char *out, int width, int height, int first, int rows,
    int samples)
{
	int x = (int)(__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() +
		      __nvvm_read_ptx_sreg_tid_x());
	int row = (int)(__nvvm_read_ptx_sreg_ctaid_y() * __nvvm_read_ptx_sreg_ntid_y() +
			__nvvm_read_ptx_sreg_tid_y());
	if (x >= width || row >= rows)
		return;
	int y = first + row;
	vec eye = make(3.4f, 2.5f, 4.3f), at = make(0.0f, 0.75f, 0.0f), sun = unit(make(0.7f, 0.62f, 0.25f));
	vec ahead = unit(at - eye);
	vec right = unit(make(-ahead.z, 0.0f, ahead.x));
	vec up = make(right.y * ahead.z - right.z * ahead.y, right.z * ahead.x - right.x * ahead.z,
	    right.x * ahead.y - right.y * ahead.x);
	vec sum = make(0, 0, 0);
	for (int i = 0; i < samples * samples; i++) {
		float sx = ((float)(i % samples) + 0.5f) / (float)samples;
		float sy = ((float)(i / samples) + 0.5f) / (float)samples;
		float u = (2.0f * ((float)x + sx) - (float)width) / (float)height;
		float v = ((float)height - 2.0f * ((float)y + sy)) / (float)height;
		sum = sum + trace(eye, unit(ahead * 1.7f + right * u + up * v), sun);
	}
	sum = sum * (1.0f / (float)(samples * samples));
	unsigned char *pixel = out + 3 * ((long long)row * width + x);
	pixel[0] = quantise(sum.x);
	pixel[1] = quantise(sum.y);
	pixel[2] = quantise(sum.z);
}
