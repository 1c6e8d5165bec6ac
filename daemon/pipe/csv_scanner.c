/* SPDX-License-Identifier: MIT */

/*
 * Which scanners there are and which of them may run here. The build brings in those of the
 * processor's family (meson.build); whether the processor and the kernel have what one needs is
 * asked when the program runs, so one binary serves every machine of the family.
 */
#include "daemon/pipe/csv_scanner.h"

#include "build_config.h"
#include "common/util/macro.h"
#include "common/util/str.h"

extern const struct csv_scanner csv_scanner_portable;

#if ZOOPARALLEL_X86_SCANNERS
extern const struct csv_scanner csv_scanner_avx2;
extern const struct csv_scanner csv_scanner_avx512;

/* What meson.build lets the compiler use. The builtin also asks whether the kernel keeps the
 * registers. */
static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
	       __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") &&
	       __builtin_cpu_supports("pclmul");
}

static bool has_avx512(void)
{
	return has_avx2() && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vbmi") &&
	       __builtin_cpu_supports("avx512vbmi2");
}
#endif

static bool has_anything(void)
{
	return true;
}

static const struct {
	const struct csv_scanner *scanner;
	bool (*is_supported)(void);
} scanners[] = {
#if ZOOPARALLEL_X86_SCANNERS
	{&csv_scanner_avx512, has_avx512},
	{&csv_scanner_avx2, has_avx2},
#endif
	{&csv_scanner_portable, has_anything},
};

const struct csv_scanner *csv_scanner_at(size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(scanners); i++) {
		if (scanners[i].is_supported() && n-- == 0) {
			return scanners[i].scanner;
		}
	}
	return NULL;
}

const struct csv_scanner *csv_scanner_find(const char *name)
{
	const struct csv_scanner *scanner = csv_scanner_at(0);

	if (name == NULL || name[0] == '\0') {
		return scanner;
	}
	for (size_t n = 0; scanner != NULL; scanner = csv_scanner_at(++n)) {
		if (str_equal(scanner->name, name)) {
			return scanner;
		}
	}
	return NULL;
}
