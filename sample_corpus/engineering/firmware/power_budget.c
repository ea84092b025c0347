/* Decides how often a battery-powered gauge may measure and transmit.
 *
 * The scheduler asks once per hour. It receives the battery voltage under load, the temperature and
 * whether the river is rising, and returns the interval in seconds. Saving energy never goes so far
 * that an event is missed: while the level rises faster than 20 mm in 15 minutes, the fast interval
 * is kept down to 3.30 V, and only below that does survival of the stored data come first.
 */

#include <stdbool.h>
#include <stdint.h>

#define INTERVAL_FAST_S 60u
#define INTERVAL_NORMAL_S 900u
#define INTERVAL_SAVING_S 3600u
#define INTERVAL_SURVIVAL_S 21600u

#define VOLTAGE_LOW_MV 3450u      /* raises E-101 */
#define VOLTAGE_CRITICAL_MV 3300u /* raises E-102, radio only four times a day */
#define COLD_COMPENSATION_MV 80u  /* lithium cells sag below -20 degrees without being empty */
#define COLD_LIMIT_DECI_C (-200)

#define EVENT_RISE_MM_PER_15MIN 20

uint32_t power_interval_s(uint16_t battery_mv, int16_t temperature_deci_c, int16_t rise_mm_per_15min)
{
    if (temperature_deci_c < COLD_LIMIT_DECI_C) {
        battery_mv += COLD_COMPENSATION_MV;
    }
    const bool event = rise_mm_per_15min >= EVENT_RISE_MM_PER_15MIN;

    if (battery_mv < VOLTAGE_CRITICAL_MV) {
        return INTERVAL_SURVIVAL_S;
    }
    if (event) {
        return INTERVAL_FAST_S;
    }
    if (battery_mv < VOLTAGE_LOW_MV) {
        return INTERVAL_SAVING_S;
    }
    return INTERVAL_NORMAL_S;
}
