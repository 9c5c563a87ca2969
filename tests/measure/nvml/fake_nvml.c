/* A stand-in for libnvidia-ml.so.1 whose true energy is known.
 *
 * Each board draws a power that is constant between changes. Its sensors renew their figures once a period, at a phase
 * of their own: the counter to the energy so far, the power to a mean over a moment (field 186) or a second (field 185,
 * nvmlDeviceGetPowerUsage). All show gain * truth + offset. Times are CLOCK_MONOTONIC, or a clock that the test drives.
 *
 * A process is given its scenario in SPANBENCH_FAKE_NVML (fake.py lists the words), or drives it through the fake_*
 * functions at the end. -D and the linker's version script leave out the symbols that an old library lacks.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_BOARDS = 16, MOST_CHANGES = 1 << 18, MOST_FAULTS = 32 };
enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

typedef struct {
    double start, watts, joules; /* since `start` this many watts; joules up to `start` */
} Change;

typedef struct {
    char uuid[96], name[96];
    double period, phase, idle, busy, gain, offset, power_gain, limit;
    double reset_at, stuck_at; /* NAN where it was never reset, never stuck */
    int slices, foreign;       /* MIG slices; another process that computes */
    unsigned reasons;
    Change *changes;
    int count;
} Board;

typedef struct {
    char name[64];
    int board, code, after; /* board -1: all; the first `after` calls succeed */
} Fault;

typedef struct {
    unsigned fieldId, scopeId;
    int64_t timestamp, latencyUsec;
    unsigned valueType;
    int nvmlReturn;
    union { double d; unsigned ui; uint64_t ull; } value;
} Field;

typedef struct { unsigned version, sensor; int celsius; } Temperature;

typedef struct { unsigned gpu, memory; } Rates;

typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu, compute; } Process;

static Board boards[MOST_BOARDS];
static Fault faults[MOST_FAULTS];
static int board_count = 1, fault_count, opened, driven, follows_cpu;
static double driven_now, cpu_before;
static char handles[MOST_BOARDS], slices[MOST_BOARDS][8];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- time and truth ---------------------------------------------------------------------------------------------- */

static double seconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

static double now(void) { return driven ? driven_now : seconds(CLOCK_MONOTONIC); }

static void draw(Board *board, double start, double watts) {
    Change *last = &board->changes[board->count - 1];
    if (board->count >= MOST_CHANGES) abort();
    board->changes[board->count++] = (Change){start, watts, last->joules + last->watts * (start - last->start)};
}

static double truth(const Board *board, double at) { /* joules since the library was loaded */
    int low = 0, high = board->count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (board->changes[middle].start <= at) low = middle; else high = middle - 1;
    }
    const Change *change = &board->changes[low];
    return change->joules + change->watts * (at - change->start);
}

static void follow_cpu(void) { /* the boards are as busy as this process's cores were since the last call */
    double present = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int index = 0; index < board_count; index++) {
        Board *board = &boards[index];
        Change *last = &board->changes[board->count - 1];
        double passed = present - last->start;
        if (passed < 1e-4) return;
        last->watts = board->idle + (board->busy - board->idle) * fmin(1, (cpu - cpu_before) / passed);
        draw(board, present, last->watts);
    }
    cpu_before = cpu;
}

static double known(const Board *board) { /* the moment up to which the board's power is settled */
    return follows_cpu ? board->changes[board->count - 1].start : now(); /* what comes after it, follow_cpu will revise */
}

static double latched(const Board *board) { /* the last moment at which the sensors renewed their figures */
    double at = isnan(board->stuck_at) ? known(board) : fmin(known(board), board->stuck_at);
    return board->phase + floor((at - board->phase) / board->period + 1e-9) * board->period;
}

static double sensed(const Board *board, double from, double to) {
    return board->gain * (truth(board, to) - truth(board, from)) + board->offset * (to - from);
}

static double mean_watts(const Board *board, double length) {
    double to = latched(board);
    return board->power_gain * sensed(board, to - length, to) / length;
}

/* ---- faults ------------------------------------------------------------------------------------------------------ */

static int fault(const char *name, int board) {
    for (int index = 0; index < fault_count; index++) {
        Fault *entry = &faults[index];
        if (strcmp(entry->name, name) || (entry->board >= 0 && entry->board != board)) continue;
        if (entry->after-- > 0) continue;
        entry->after = 0;
        return entry->code;
    }
    return SUCCESS;
}

static int board_of(const void *handle) { /* MIG slices answer -1: they have no sensors */
    const char *place = handle;
    return place >= handles && place < handles + MOST_BOARDS ? (int)(place - handles) : -1;
}

/* Every function that asks a board begins so: `board` is then its entry. */
#define ASK(function)                                                   \
    int place = board_of(handle);                                       \
    int code = fault(#function, place);                                 \
    if (!code && !opened) code = UNINITIALIZED;                         \
    if (!code && place < 0) code = INVALID_ARGUMENT;                    \
    if (code) return code;                                              \
    Board *board = &boards[place];                                      \
    (void)board;

#define LOCKED(expression)                                              \
    pthread_mutex_lock(&lock);                                          \
    if (follows_cpu) follow_cpu();                                      \
    expression;                                                         \
    pthread_mutex_unlock(&lock);

/* ---- the scenario ------------------------------------------------------------------------------------------------ */

static void set_fault(const char *name, int board, int code, int after) {
    if (fault_count >= MOST_FAULTS) abort();
    Fault *entry = &faults[fault_count++];
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->board = board, entry->code = code, entry->after = after;
}

static int set_number(Board *board, const char *key, double value) {
    struct { const char *key; double *place; } known[] = {
        {"period", &board->period}, {"phase", &board->phase}, {"idle", &board->idle}, {"busy", &board->busy}, {"gain", &board->gain},
        {"offset", &board->offset}, {"power_gain", &board->power_gain}, {"limit", &board->limit},
    };
    for (size_t index = 0; index < sizeof known / sizeof *known; index++)
        if (!strcmp(known[index].key, key)) { *known[index].place = value; return 1; }
    if (!strcmp(key, "slices")) { board->slices = (int)value; return 1; }
    if (!strcmp(key, "foreign")) { board->foreign = (int)value; return 1; }
    if (!strcmp(key, "reasons")) { board->reasons = (unsigned)value; return 1; }
    return 0;
}

/* One word of the scenario: key=value for all boards, key.N=value for board N, nvmlFunction=code, …@after=code. */
static void set_word(char *word) {
    char *value = strchr(word, '=');
    if (!value) { fprintf(stderr, "fake nvml: no value in %s\n", word); abort(); }
    *value++ = 0;
    char *dot = strchr(word, '.'), *late = strchr(word, '@');
    int only = dot ? atoi(dot + 1) : -1, after = late ? atoi(late + 1) : 0;
    if (dot) *dot = 0;
    if (late) *late = 0;
    if (!strncmp(word, "nvml", 4)) { set_fault(word, only, atoi(value), after); return; }
    if (!strcmp(word, "boards")) { board_count = atoi(value); return; }
    if (!strcmp(word, "driven")) { driven = atoi(value); return; }
    if (!strcmp(word, "follows_cpu")) { follows_cpu = atoi(value); return; }
    for (int index = 0; index < MOST_BOARDS; index++) {
        if (only >= 0 && index != only) continue;
        if (!strcmp(word, "name")) snprintf(boards[index].name, sizeof boards[index].name, "%s", value);
        else if (!set_number(&boards[index], word, atof(value))) { fprintf(stderr, "fake nvml: unknown word %s\n", word); abort(); }
    }
}

__attribute__((constructor)) static void load(void) {
    for (int index = 0; index < MOST_BOARDS; index++) {
        Board *board = &boards[index];
        *board = (Board){.period = 0.1, .phase = 0.0137 * index, .idle = 50, .busy = 300, .gain = 1, .power_gain = 1, .limit = 300,
                         .reset_at = NAN, .stuck_at = NAN};
        snprintf(board->uuid, sizeof board->uuid, "GPU-%08x-0000-4000-8000-%012x", 0xaaaa0000 + index, index);
        snprintf(board->name, sizeof board->name, "Fake GPU");
        board->changes = malloc(MOST_CHANGES * sizeof(Change)); /* touched only as it fills */
    }
    const char *scenario = getenv("SPANBENCH_FAKE_NVML");
    char *copy = strdup(scenario ? scenario : ""), *rest = copy, *word;
    while ((word = strsep(&rest, ";"))) if (*word) set_word(word);
    free(copy);
    double start = driven ? 0 : seconds(CLOCK_MONOTONIC);
    cpu_before = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int index = 0; index < MOST_BOARDS; index++) { /* it has idled since long before, as a mean over a second asks */
        boards[index].changes[0] = (Change){start - 1000, boards[index].idle, 0};
        boards[index].count = 1;
    }
}

/* ---- NVML -------------------------------------------------------------------------------------------------------- */

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = fault("nvmlInit", -1);
    if (!code) opened++;
    return code;
}

int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

int nvmlShutdown(void) {
    if (!opened) return UNINITIALIZED;
    opened--;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    static char text[64];
    snprintf(text, sizeof text, "fake error %d", code);
    return text;
}

static int text(const char *function, int place, char *buffer, unsigned length, const char *value) {
    int code = fault(function, place);
    if (!code && !opened) code = UNINITIALIZED;
    if (!code) snprintf(buffer, length, "%s", value);
    return code;
}

int nvmlSystemGetDriverVersion(char *buffer, unsigned length) { return text("nvmlSystemGetDriverVersion", -1, buffer, length, "580.65.06"); }

int nvmlSystemGetNVMLVersion(char *buffer, unsigned length) { return text("nvmlSystemGetNVMLVersion", -1, buffer, length, "13.580.65.06"); }

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = 13000;
    return fault("nvmlSystemGetCudaDriverVersion", -1);
}

int nvmlDeviceGetCount_v2(unsigned *count) {
    int code = fault("nvmlDeviceGetCount", -1);
    if (!code && !opened) code = UNINITIALIZED;
    *count = (unsigned)board_count;
    return code;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    int code = fault("nvmlDeviceGetHandleByIndex", (int)index);
    if (!code && !opened) code = UNINITIALIZED;
    if (!code && index >= (unsigned)board_count) code = INVALID_ARGUMENT;
    if (!code) *handle = &handles[index];
    return code;
}

int nvmlDeviceGetUUID(void *handle, char *buffer, unsigned length) {
    int place = board_of(handle);
    if (place >= 0) return text("nvmlDeviceGetUUID", place, buffer, length, boards[place].uuid);
    char slice[96]; /* MIG-…, the board's number and the slice's */
    long offset = (char *)handle - &slices[0][0];
    snprintf(slice, sizeof slice, "MIG-%08lx-0000-5000-8000-%012lx", 0xbbbb0000 + offset, offset);
    return text("nvmlDeviceGetUUID", -1, buffer, length, slice);
}

int nvmlDeviceGetName(void *handle, char *buffer, unsigned length) {
    int place = board_of(handle);
    return text("nvmlDeviceGetName", place, buffer, length, place >= 0 ? boards[place].name : "slice");
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    ASK(nvmlDeviceGetMigMode)
    if (!board->slices) return NOT_SUPPORTED;
    *current = *pending = 1;
    return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    ASK(nvmlDeviceGetMaxMigDeviceCount)
    *count = 7;
    return SUCCESS;
}

int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **slice) {
    ASK(nvmlDeviceGetMigDeviceHandleByIndex)
    if (index >= (unsigned)board->slices) return NOT_FOUND;
    *slice = &slices[place][index];
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    ASK(nvmlDeviceGetTotalEnergyConsumption)
    double shown;
    LOCKED(double from = isnan(board->reset_at) ? board->changes[0].start : board->reset_at; shown = sensed(board, from, latched(board)))
    *millijoules = (unsigned long long)(int64_t)(shown * 1e3); /* below 0 J it wraps */
    return SUCCESS;
}

static unsigned milliwatts(const Board *board, double length) { /* below 0 W it wraps, as an unsigned figure does */
    double watts;
    LOCKED(watts = mean_watts(board, length))
    return (unsigned)(int64_t)(watts * 1e3);
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *power) {
    ASK(nvmlDeviceGetPowerUsage)
    *power = milliwatts(board, 1.0);
    return SUCCESS;
}

int nvmlDeviceGetFieldValues(void *handle, int count, Field *fields) {
    ASK(nvmlDeviceGetFieldValues)
    for (int index = 0; index < count; index++) {
        Field *field = &fields[index];
        int average = field->fieldId == 185;
        field->nvmlReturn = average ? fault("nvmlField185", place) : field->fieldId == 186 ? fault("nvmlField186", place) : INVALID_ARGUMENT;
        field->valueType = 1;
        if (!field->nvmlReturn) field->value.ui = milliwatts(board, average ? 1.0 : 0.025);
    }
    return SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(void *handle, unsigned *limit) {
    ASK(nvmlDeviceGetEnforcedPowerLimit)
    *limit = (unsigned)(board->limit * 1e3);
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(void *handle, int kind, unsigned *clock) {
    ASK(nvmlDeviceGetClockInfo)
    *clock = kind == 1 ? 1400 : 1593;
    return SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(void *handle, int kind, unsigned *clock) {
    ASK(nvmlDeviceGetMaxClockInfo)
    *clock = kind == 1 ? 1980 : 1593;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) {
    ASK(nvmlDeviceGetTemperature)
    if (sensor != 0) return INVALID_ARGUMENT;
    *celsius = 41;
    return SUCCESS;
}

int nvmlDeviceGetTemperatureV(void *handle, Temperature *value) {
    ASK(nvmlDeviceGetTemperatureV)
    value->celsius = 41;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *reasons) {
    ASK(nvmlDeviceGetCurrentClocksEventReasons)
    *reasons = board->reasons;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *reasons) {
    ASK(nvmlDeviceGetCurrentClocksThrottleReasons)
    *reasons = board->reasons;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, Process *processes) {
    ASK(nvmlDeviceGetComputeRunningProcesses)
    unsigned room = *count;
    *count = board->foreign ? 1 : 0;
    if (room < *count) return INSUFFICIENT_SIZE;
    if (*count) processes[0] = (Process){(unsigned)board->foreign, 1 << 20, 0xffffffff, 0xffffffff};
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(void *handle, Rates *rates) {
    ASK(nvmlDeviceGetUtilizationRates)
    rates->gpu = 75, rates->memory = 20;
    return SUCCESS;
}

int nvmlDeviceGetPersistenceMode(void *handle, unsigned *mode) {
    ASK(nvmlDeviceGetPersistenceMode)
    *mode = 1;
    return SUCCESS;
}

int nvmlDeviceGetComputeMode(void *handle, unsigned *mode) {
    ASK(nvmlDeviceGetComputeMode)
    *mode = 0;
    return SUCCESS;
}

/* ---- what only a test calls ---------------------------------------------------------------------------------------- */

double fake_now(void) { return now(); }

void fake_advance(double by) { LOCKED(driven_now += by) }

void fake_watts(int board, double watts) { LOCKED(draw(&boards[board], now(), watts)) }

double fake_truth(int board, double from, double to) {
    double joules;
    LOCKED(joules = truth(&boards[board], to) - truth(&boards[board], from))
    return joules;
}

void fake_word(const char *word) { /* change the scenario while it runs */
    char *copy = strdup(word);
    LOCKED(set_word(copy))
    free(copy);
}

void fake_mend(void) { fault_count = 0; }

void fake_reset(int board) { LOCKED(boards[board].reset_at = now()) }

void fake_stick(int board) { LOCKED(boards[board].stuck_at = now()) }

void fake_unstick(int board) { boards[board].stuck_at = NAN; }
