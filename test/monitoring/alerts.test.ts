/** Alerts ask for what there is, and each has a page, a case on which it fires and one on which it does not. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRules } from './alerts.ts'
import { CASES } from './cases.ts'
import { askedFor, labelsOf } from './series.ts'

const RUNBOOKS = join(import.meta.dirname, '..', '..', 'docs', 'runbooks')
const rules = readRules()

for (const { alert, expr } of rules) {
  test(`${alert} asks for series and labels that members or the operator have`, () => {
    const asked = askedFor(expr)
    assert.ok(asked.length > 0 || /\bup\{/.test(expr), expr)
    for (const { name, labels } of asked) {
      const known = labelsOf(name)
      assert.ok(known !== undefined, `nobody has ${name}`)
      for (const label of labels) assert.ok(known.includes(label), `${name}{${label}}`)
    }
  })

  test(`${alert} has a page that says what it means, what to look at and what to do`, () => {
    const page = readFileSync(join(RUNBOOKS, `${alert}.md`), 'utf8')
    assert.ok(page.startsWith(`# ${alert}\n`))
    for (const part of ['What it means', 'What to look at', 'What to do'])
      assert.ok(page.includes(`\n## ${part}\n`), part)
  })
}

test('each alert has one name and its case, and no page is of none', () => {
  const names = rules.map(({ alert }) => alert)
  assert.equal(new Set(names).size, names.length)
  assert.deepEqual(
    CASES.map(({ alert }) => alert),
    names,
  )
  const pages = readdirSync(RUNBOOKS).filter((name) => name !== 'README.md')
  assert.deepEqual(pages.toSorted(), names.map((name) => `${name}.md`).toSorted())
})
