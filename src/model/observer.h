/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* Features that go along with a model: they subscribe, and the model knows none of them by name. */
#ifndef MB_MODEL_OBSERVER_H
#define MB_MODEL_OBSERVER_H

#include <stddef.h>
#include <stdint.h>

struct mb_event;
struct mb_model;

/* Each function may be NULL. They are called in the order in which observers subscribed. */
struct mb_observer {
	const char *name; /* by which mb_model_observer() finds it */
	void *arg; /* the feature; handed to each function */
	/* An event, after its family has consumed it. */
	void (*event)(void *arg, const struct mb_event *e);
	/* An event that a family has made to be shown (trace): fill in what the family cannot know. */
	void (*annotate)(void *arg, struct mb_event *shown);
	/* A record that is about a feature (enum mb_ingest_type); its least size has been checked. */
	void (*record)(void *arg, unsigned int type, const void *data, size_t len);
	/* All accounts are those at the end of the tick, at t_ns. */
	void (*tick)(void *arg, uint64_t t_ns);
	/* A new interval begins. */
	void (*interval)(void *arg);
	/* The model is freed, and with it what goes along. */
	void (*free)(void *arg);
	struct mb_observer *next;
};

/* Subscribe; o belongs to the feature and stays until the model is freed. */
void mb_model_observe(struct mb_model *m, struct mb_observer *o);

/* The feature of this name that goes along with the model; NULL: none. */
void *mb_model_observer(const struct mb_model *m, const char *name);

/* For the model and families: call the function of each observer that has one. */
void mb_observers_event(struct mb_model *m, const struct mb_event *e);
void mb_observers_annotate(struct mb_model *m, struct mb_event *shown);
void mb_observers_record(struct mb_model *m, unsigned int type, const void *data, size_t len);
void mb_observers_tick(struct mb_model *m, uint64_t t_ns);
void mb_observers_interval(struct mb_model *m);
void mb_observers_free(struct mb_model *m);

#endif
