import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020, { type ErrorObject, type ValidateFunction } from 'ajv/dist/2020';
import { projectRoot } from '../outside';

/** The published schemas of what the command writes. */
export type SchemaName = 'result' | 'summary' | 'pruned' | 'retrained';

export function schema(name: SchemaName): SchemaNode {
  const path = join(projectRoot(), 'server/src/report', `${name}.schema.json`);
  return JSON.parse(readFileSync(path, 'utf8')) as SchemaNode;
}

/** As far as the tests look into a schema. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode | false;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

const validators = new Map<SchemaName, ValidateFunction>();

/** Errors of the schema, none when `value` is as described. */
export function schemaErrors(name: SchemaName, value: unknown): readonly ErrorObject[] {
  let validate = validators.get(name);
  if (validate === undefined) {
    validate = new Ajv2020({ strict: true, strictTypes: false, allErrors: true }).compile(schema(name));
    validators.set(name, validate);
  }
  return validate(value) ? [] : validate.errors!;
}

export function assertMatches(name: SchemaName, value: unknown): void {
  assert.deepEqual(schemaErrors(name, value), []);
}
