import { describe, expect, it } from '@jest/globals';
import { glueAddress } from '../../../src/connectors/glue/glue-address.ts';

describe('the address of a Glue catalog', () => {
  it.each([
    ['', {}],
    ['glue:', {}],
    ['glue://', {}],
    ['glue://eu-west-1', { region: 'eu-west-1' }],
    ['glue://us-gov-east-1/', { region: 'us-gov-east-1' }],
    ['GLUE://ap-southeast-2', { region: 'ap-southeast-2' }],
    // Endpoints as AWS lists them (General Reference, "AWS Glue endpoints and quotas"; PrivateLink's names).
    ['https://glue.eu-west-1.amazonaws.com', { region: 'eu-west-1', endpoint: 'https://glue.eu-west-1.amazonaws.com' }],
    [
      'https://glue-fips.us-east-2.amazonaws.com/',
      { region: 'us-east-2', endpoint: 'https://glue-fips.us-east-2.amazonaws.com/' },
    ],
    [
      'https://glue.cn-north-1.amazonaws.com.cn',
      { region: 'cn-north-1', endpoint: 'https://glue.cn-north-1.amazonaws.com.cn' },
    ],
    ['https://glue.us-west-2.api.aws', { region: 'us-west-2', endpoint: 'https://glue.us-west-2.api.aws' }],
    [
      'https://vpce-0a1b-2c3d.glue.us-east-1.vpce.amazonaws.com',
      { region: 'us-east-1', endpoint: 'https://vpce-0a1b-2c3d.glue.us-east-1.vpce.amazonaws.com' },
    ],
    ['http://127.0.0.1:5000', { endpoint: 'http://127.0.0.1:5000' }],
    [
      'https://glue.eu-west-1.amazonaws.com.evil.example',
      { endpoint: 'https://glue.eu-west-1.amazonaws.com.evil.example' },
    ],
  ])('%s', (uri, address) => {
    expect(glueAddress(uri, {})).toEqual(address);
  });

  it.each(['glue://europe', 'glue://eu-west-1/db', 's3://bucket', 'eu-west-1', 'https://', 'file:///x'])(
    '%s is refused',
    (uri) => {
      expect(() => glueAddress(uri, {})).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );

  it('is taken from properties first', () => {
    const uri = 'https://glue.eu-west-1.amazonaws.com';
    expect(glueAddress(uri, { 'client.region': 'us-east-1' }).region).toBe('us-east-1');
    expect(glueAddress(uri, { 'client.region': 'us-east-1', 'glue.region': 'us-east-2' }).region).toBe('us-east-2');
    expect(glueAddress(uri, { 'glue.endpoint': 'http://localhost:1' }).endpoint).toBe('http://localhost:1');
    expect(() => glueAddress(uri, { 'glue.endpoint': 'localhost' })).toThrow('glue.endpoint');
  });
});
