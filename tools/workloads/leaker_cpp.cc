// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0
/* Leaks like a C++ program: a vector that only grows, filled by a template with an inlined helper. */
#define _Noreturn [[noreturn]]
extern "C" {
#include "workload.h"
#include "leak.h"
}
#include <cstring>
#include <string>
#include <vector>

static lk_site site;

namespace shop
{

struct Order {
	explicit Order(unsigned long number) : number(number)
	{
		std::memset(text, 'o', sizeof(text));
	}
	unsigned long number;
	char text[1016];
};

template <typename T> static inline __attribute__((always_inline)) T *make(unsigned long number)
{
	return LK_AT(&site, new T(number));
}

template <typename T> class Registry
{
public:
	LK_DEEP void add(unsigned long number)
	{
		all.push_back(make<T>(number));
		lk_count(&site, sizeof(T));
	}
	std::size_t size() const
	{
		return all.size();
	}

private:
	std::vector<T *> all;
};

static Registry<Order> orders;

LK_DEEP void take_orders(unsigned long bytes_per_s)
{
	while (site.bytes + sizeof(Order) <= lk_due(bytes_per_s))
		orders.add(orders.size());
}

} // namespace shop

static LK_DEEP void sell(int argc, char **argv)
{
	unsigned long rate = wl_parse(argv[0]);

	lk_begin("leaker_cpp", wl_arg(argc, argv, 1, 10));
	while (lk_tick(10))
		shop::take_orders(rate);
	lk_finish(&site, 1);
	wl_num("orders", static_cast<long long>(shop::orders.size()));
}

int main(int argc, char **argv)
{
	static const wl_mode modes[] = {
		{ "vector", "RATE_BYTES_PER_S [SECONDS]", 1, sell },
		{ nullptr, nullptr, 0, nullptr },
	};

	wl_main(argc, argv, "leaker_cpp", modes);
}
