import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parseSchedule, type Schedule } from './schedule.ts'

const HOUR_MS = 3_600_000

function scheduleOf(expression: string, timeZone: string): Schedule {
  const parsed = parseSchedule(expression, timeZone)
  assert(parsed.ok)
  return parsed.value
}

test('a time of the schedule is the last one at that very moment, and the next one before it', () => {
  const hourly = scheduleOf('0 * * * *', 'UTC')
  const at = Date.parse('2026-11-30T05:00:00Z')
  assert.deepEqual([hourly.lastMs(at - 1), hourly.lastMs(at), hourly.lastMs(at + 1)], [at - HOUR_MS, at, at])
  assert.deepEqual([hourly.nextMs(at - 1), hourly.nextMs(at)], [at, at + HOUR_MS])
})

test('a day has one backup at half past two, also where the clock is put forward over it, or back', () => {
  const nightly = scheduleOf('30 2 * * *', 'Europe/Berlin')
  for (const [day, expected] of [
    ['2026-03-28', '2026-03-28T01:30:00.000Z'],
    ['2026-03-29', '2026-03-29T01:00:00.000Z'],
    ['2026-03-30', '2026-03-30T00:30:00.000Z'],
    ['2026-10-25', '2026-10-25T00:30:00.000Z'],
    ['2026-10-26', '2026-10-26T01:30:00.000Z'],
  ] as const) {
    const noonMs = Date.parse(`${day}T12:00:00Z`)
    assert.equal(new Date(nightly.lastMs(noonMs) ?? 0).toISOString(), expected)
    assert.equal(new Date(nightly.nextMs(noonMs - 12 * HOUR_MS) ?? 0).toISOString(), expected)
  }
})

test('looking back finds the times that looking ahead promised, whatever the zone and the hour of the change', () => {
  const expression = fc.constantFrom('0 * * * *', '*/30 * * * *', '30 2 * * *', '15 1,2,3 * * *', '0 0 * * 0', '@daily')
  const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata')
  const start = fc.integer({ min: Date.parse('2026-03-01T00:00:00Z'), max: Date.parse('2026-11-30T00:00:00Z') })
  fc.assert(
    fc.property(expression, zone, start, (text, timeZone, startMs) => {
      const schedule = scheduleOf(text, timeZone)
      const nextMs = schedule.nextMs(startMs) ?? 0
      assert.ok(nextMs > startMs)
      assert.equal(schedule.lastMs(nextMs), nextMs)
      assert.ok((schedule.lastMs(nextMs - 1) ?? 0) <= startMs)
    }),
    { numRuns: 200 },
  )
})

test('what names no time, or no zone, is refused with a sentence', () => {
  for (const [expression, timeZone, sentence] of [
    ['every day', 'UTC', /invalid configuration format/],
    ['0 0 0 * * *', 'UTC', /requires exactly 5 parts/],
    ['61 * * * *', 'UTC', /Invalid value for minute: 61/],
    ['0 0 31 2 *', 'UTC', /matches no time/],
    ['0 0 * * *', 'Mars/Olympus', /Invalid timezone 'Mars\/Olympus'/],
  ] as const) {
    const parsed = parseSchedule(expression, timeZone)
    assert.ok(!parsed.ok, expression)
    assert.match(parsed.error, sentence)
  }
})
