/** Where the generated customers live and travel. */
export interface City {
  readonly city: string;
  readonly country: string;
  readonly lat: number;
  readonly lon: number;
}

const city = (name: string, country: string, lat: number, lon: number): City => ({
  city: name,
  country,
  lat,
  lon,
});

export const CITIES: readonly City[] = [
  city('New York', 'US', 40.71, -74.01),
  city('Los Angeles', 'US', 34.05, -118.24),
  city('Chicago', 'US', 41.88, -87.63),
  city('Houston', 'US', 29.76, -95.37),
  city('Toronto', 'CA', 43.65, -79.38),
  city('Montréal', 'CA', 45.5, -73.57),
  city('Ciudad de México', 'MX', 19.43, -99.13),
  city('Bogotá', 'CO', 4.71, -74.07),
  city('São Paulo', 'BR', -23.55, -46.63),
  city('London', 'GB', 51.51, -0.13),
  city('Dublin', 'IE', 53.35, -6.26),
  city('Paris', 'FR', 48.86, 2.35),
  city('Berlin', 'DE', 52.52, 13.4),
  city('Zürich', 'CH', 47.38, 8.54),
  city('Madrid', 'ES', 40.42, -3.7),
  city('Stockholm', 'SE', 59.33, 18.07),
  city('Warszawa', 'PL', 52.23, 21.01),
  city('İstanbul', 'TR', 41.01, 28.98),
  city('Lagos', 'NG', 6.52, 3.38),
  city('Nairobi', 'KE', -1.29, 36.82),
  city('Dubai', 'AE', 25.2, 55.27),
  city('Mumbai', 'IN', 19.08, 72.88),
  city('Singapore', 'SG', 1.35, 103.82),
  city('Tokyo', 'JP', 35.68, 139.69),
  city('Seoul', 'KR', 37.57, 126.98),
  city('Sydney', 'AU', -33.87, 151.21),
];
