import { expect, it } from '@jest/globals';
import { spreadOffset } from '../../../src/catalog/schedules/spread-offset.ts';

const ids = Array.from({ length: 1000 }, (_, i) => `con_01m85dmm9y00k2xjv7${i.toString(36).padStart(4, '0')}`);

it('spreads a thousand connectors evenly over their interval', () => {
  const perMinute = new Array<number>(15).fill(0);
  for (const id of ids) perMinute[Math.floor(spreadOffset(id, 900) / 60)]! += 1;
  // 67 a minute on average; the standard deviation is 8.
  expect(Math.min(...perMinute)).toBeGreaterThan(35);
  expect(Math.max(...perMinute)).toBeLessThan(100);
});

it('is stable, a whole second within the interval, and 0 without one', () => {
  // If this value changed, an upgrade would move every schedule.
  expect(spreadOffset('con_01m85dmm9y00k2xjv7q0t4', 900)).toBe(26);
  expect(spreadOffset('con_01m85dmm9y00k2xjv7q0t4', 1)).toBe(0);
  expect(spreadOffset('con_01m85dmm9y00k2xjv7q0t4', 0)).toBe(0);
});
