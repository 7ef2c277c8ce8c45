#ifndef TMPSTUB
#define TMPSTUB
struct mb_retention { uint64_t max_age_ns, max_bytes; };
struct mb_recorder_state {
	uint64_t bytes, ticks, waiting_bytes, lost; bool failed; char message[200]; char oldest[32]; };
static inline int mb_recorder_open_kept(struct mb_recorder **out, const char *path, const struct mb_retention *keep, struct mb_err *e) { (void)keep; return mb_recorder_open(out, path, false, e); }
static inline void mb_recorder_retain(struct mb_recorder *r, const struct mb_retention *keep) { (void)r; (void)keep; }
static inline void mb_recorder_state(struct mb_recorder *r, struct mb_recorder_state *st) { (void)r; memset(st, 0, sizeof(*st)); }
static inline void mb_recorder_forget(struct mb_recorder *r, const struct mb_process *p) { (void)r; (void)p; }
#endif
