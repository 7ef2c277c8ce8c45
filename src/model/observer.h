/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Features attached to a model: they subscribe, and the model knows none of them by name. */
#ifndef MB_MODEL_OBSERVER_H
#define MB_MODEL_OBSERVER_H

#include <stddef.h>
#include <stdint.h>

struct mb_event;
struct mb_model;

/* Each callback may be NULL. Observers are called in the order in which they subscribed. */
struct mb_observer {
	const char *name; /* key for mb_model_observer() */
	void *arg; /* the feature; passed to each callback */
	/* An event, after its family has processed it. */
	void (*event)(void *arg, const struct mb_event *e);
	/*
	 * An event that a family has synthesized for display (`trace`): fill in what the family
	 * cannot know.
	 */
	void (*annotate)(void *arg, struct mb_event *shown);
	/* A record for a feature (enum mb_ingest_type); its minimum size has been checked. */
	void (*record)(void *arg, unsigned int type, const void *data, size_t len);
	/* End of the tick at t_ns: all accounts are up to date. */
	void (*tick)(void *arg, uint64_t t_ns);
	/* A new interval begins. */
	void (*interval)(void *arg);
	/* The model is freed; free the feature as well. */
	void (*free)(void *arg);
	struct mb_observer *next;
};

/* Subscribe. o belongs to the feature and must stay valid until the model is freed. */
void mb_model_observe(struct mb_model *m, struct mb_observer *o);

/* The arg of the observer with this name; NULL: none. */
void *mb_model_observer(const struct mb_model *m, const char *name);

/* For the model and families: call the respective callback of each observer that has one. */
void mb_observers_event(struct mb_model *m, const struct mb_event *e);
void mb_observers_annotate(struct mb_model *m, struct mb_event *shown);
void mb_observers_record(struct mb_model *m, unsigned int type, const void *data, size_t len);
void mb_observers_tick(struct mb_model *m, uint64_t t_ns);
void mb_observers_interval(struct mb_model *m);
void mb_observers_free(struct mb_model *m);

#endif
